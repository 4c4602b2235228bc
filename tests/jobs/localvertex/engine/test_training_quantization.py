"""LoRA on a base model in 4 or 8 bits, by bitsandbytes of the extra `qlora`."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from jobs.localvertex.engine.export.gguf import convert
from jobs.localvertex.engine.job import Job, JobError
from jobs.localvertex.engine.model import dtype_of_base, load_base, trainable
from tests.jobs.localvertex.engine.conftest import ROOT, TINY, TINY_VISION, TUNE, Workdir
from tests.jobs.localvertex.engine.llama import llama
from tests.jobs.localvertex.engine.tiny import make_model

pytestmark = pytest.mark.slow

HELD_OUT = json.loads((TUNE / "heldout.json").read_text())
QUESTIONS = HELD_OUT["questions"]
needs_bitsandbytes = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs the extra qlora")


@pytest.fixture(scope="module")
def qlora(tmp_path_factory: pytest.TempPathFactory) -> Workdir:
    """The tiny model, tuned once on a 4-bit base."""
    made = Workdir(tmp_path_factory.mktemp("qlora"))
    made.describe(quantization="4bit")
    assert made.run() == 0, (made.path / "train.log").read_text()
    return made


def styled(answers: list[str]) -> int:
    style = HELD_OUT["style"]
    return sum(text.startswith(style["starts_with"]) and text.endswith(style["ends_with"]) for text in answers)


@needs_bitsandbytes
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")  # transformers' own, in peft
@pytest.mark.parametrize(("kind", "layer"), [("4bit", "Linear4bit"), ("8bit", "Linear8bitLt")])
def test_projections_are_quantised_and_nothing_else(workdir: Workdir, kind: str, layer: str) -> None:
    workdir.describe(quantization=kind)
    model = trainable(Job.read(workdir.path / "job.json"))
    kinds = {name: type(module).__name__ for name, module in model.named_modules() if name.endswith("base_layer")}
    assert (len(kinds), set(kinds.values())) == (4 * 7, {layer})
    assert model.get_output_embeddings().weight.dtype == dtype_of_base(TINY)
    assert {parameter.dtype for parameter in model.parameters() if parameter.requires_grad} == {torch.float32}


@needs_bitsandbytes
@pytest.mark.parametrize("kind", ["4bit", "8bit"])
def test_what_sees_is_not_quantised(kind: str) -> None:
    names = [
        name for name, module in load_base(TINY_VISION, torch.bfloat16, kind).named_modules() if is_quantised(module)
    ]
    assert (len(names) > 0, [name for name in names if ".language_model." not in name]) == (True, [])


@needs_bitsandbytes
def test_who_chooses_experts_is_not_quantised(tmp_path: Path) -> None:
    model = load_base(make_model("Gemma 4 26B A4B", tmp_path), torch.bfloat16, "4bit")
    routers = {type(module).__name__ for name, module in model.named_modules() if name.endswith("router.proj")}
    assert (routers, is_quantised(model.model.layers[0].self_attn.q_proj)) == ({"Linear"}, True)


def is_quantised(module: torch.nn.Module) -> bool:
    return type(module).__name__ in ("Linear4bit", "Linear8bitLt")


@needs_bitsandbytes
@pytest.mark.slow
def test_adapter_works_on_the_base_in_llama_cpp(qlora: Workdir) -> None:
    with llama(TINY / "model.gguf", qlora.path / "final" / "adapter" / "adapter.gguf") as tuned:
        assert styled([tuned.ask(one["prompt"]) for one in QUESTIONS]) >= len(QUESTIONS) - 1


@needs_bitsandbytes
@pytest.mark.slow
def test_merged_model_is_whole_and_not_quantised(qlora: Workdir, tmp_path: Path) -> None:
    final, base = load_file(qlora.path / "final" / "model.safetensors"), load_file(TINY / "model.safetensors")
    assert {name: (one.shape, one.dtype) for name, one in final.items()} == {
        name: (one.shape, torch.bfloat16) for name, one in base.items()
    }
    untouched = [name for name in base if "_proj" not in name]
    assert [name for name in untouched if not torch.equal(final[name], base[name].bfloat16())] == []
    assert "quantization_config" not in json.loads((qlora.path / "final" / "config.json").read_text())
    assert "LoRA on a 4-bit base, rank" in (qlora.path / "final" / "README.md").read_text()
    (model,) = convert(qlora.path / "final", tmp_path)
    with llama(model) as merged:
        assert styled([merged.ask(one["prompt"]) for one in QUESTIONS]) >= len(QUESTIONS) - 1


@needs_bitsandbytes
def test_log_is_as_readable_as_any(qlora: Workdir) -> None:
    lines = (qlora.path / "train.log").read_text().splitlines()
    assert [line for line in lines if not re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S", line)] == []


@needs_bitsandbytes
@pytest.mark.slow
def test_killed_training_goes_on_from_its_last_checkpoint(workdir: Workdir) -> None:
    workdir.describe(quantization="8bit")
    process = workdir.start()
    workdir.wait_for("checkpoint")
    process.kill()
    process.wait()
    saved, seen = workdir.events("checkpoint")[-1]["step"], len(workdir.events())
    assert workdir.run() == 0, (workdir.path / "train.log").read_text()
    again = [event["step"] for event in workdir.events()[seen:] if event["event"] == "step"]
    assert again == list(range(saved + 1, workdir.events("data_stats")[0]["steps"] + 1))
    assert workdir.events("step")[-1]["loss"] < workdir.events("step")[0]["loss"] / 10


@needs_bitsandbytes
@pytest.mark.slow
def test_other_trainings_do_not_import_it(workdir: Workdir) -> None:
    """A folder of that name that fails when it is imported stands before it."""
    broken = workdir.path / "broken"
    broken.mkdir()
    (broken / "bitsandbytes.py").write_text("raise SystemExit('imported')")
    workdir.describe(max_steps=1)
    assert workdir.run(PYTHONPATH=str(broken)) == 0, (workdir.path / "train.log").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantization": "2bit"}, "quantization must be one of 4bit, 8bit, not '2bit'"),
        ({"quantization": "4bit", "tuning_mode": "FULL"}, "A quantised model cannot be tuned in full"),
    ],
)
def test_what_cannot_be_is_refused(workdir: Workdir, changes: dict[str, str], message: str) -> None:
    workdir.describe(**changes)
    with pytest.raises(JobError, match=message):
        Job.read(workdir.path / "job.json")


READ = "import sys; from pathlib import Path; from jobs.localvertex.engine.job import Job; Job.read(Path(sys.argv[1]))"


def test_without_the_package_the_extra_is_named(workdir: Workdir) -> None:
    """In a Python that has no packages."""
    workdir.describe(quantization="4bit")
    command = [sys.executable, "-S", "-c", READ, str(workdir.path / "job.json")]
    ended = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    error = ended.stderr.splitlines()[-1]
    assert "JobError: A base model in 4bit needs bitsandbytes, which is not installed. Install it: pip install" in error
