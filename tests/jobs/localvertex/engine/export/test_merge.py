import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from jobs.localvertex.engine.checkpoints import all_checkpoints
from jobs.localvertex.engine.export.card import checkpoint_card
from jobs.localvertex.engine.export.merge import merge, read_adapter_config
from jobs.localvertex.engine.job import JobError
from tests.jobs.localvertex.engine.conftest import TINY, Workdir

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
PLAIN = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "bias": "none"}


def adapter(folder: Path, **config: object) -> Path:
    (folder / "adapter_config.json").write_text(json.dumps(PLAIN | config))
    return folder


def test_the_last_checkpoint_is_the_final_model(trained: Workdir, tmp_path: Path) -> None:
    merge(TINY, all_checkpoints(trained.path)[-1], tmp_path / "out", "Mine", "tests/tiny")
    final = trained.path / "final"
    made, wanted = (load_file(folder / "model.safetensors") for folder in (tmp_path / "out", final))
    assert [name for name in wanted if not torch.equal(made[name], wanted[name])] == []
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        path.name for path in final.iterdir() if path.is_file()
    }
    for name in ("config.json", "tokenizer.json", "chat_template.jinja"):
        assert (tmp_path / "out" / name).read_bytes() == (final / name).read_bytes()


@pytest.mark.slow
def test_an_earlier_checkpoint_is_another_model(trained: Workdir, tmp_path: Path) -> None:
    merge(TINY, all_checkpoints(trained.path)[0], tmp_path / "out", "Mine", "tests/tiny")
    made, final = (load_file(folder / "model.safetensors") for folder in (tmp_path / "out", trained.path / "final"))
    assert {name.rpartition("_")[2] for name in final if not torch.equal(made[name], final[name])} == {"proj.weight"}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"peft_type": "VERA"}, "Only a plain LoRA adapter"),
        ({"layer_replication": [[0, 2]]}, "Only a plain LoRA adapter"),
        ({"use_dora": True}, "An adapter with DoRA"),
        ({"r": "many"}, "cannot be used"),
    ],
)
def test_what_is_no_plain_adapter_is_refused(tmp_path: Path, config: dict[str, object], reason: str) -> None:
    with pytest.raises(JobError, match=reason):
        read_adapter_config(adapter(tmp_path, **config))


def test_what_else_a_configuration_asks_for_is_not_obeyed(tmp_path: Path) -> None:
    read = read_adapter_config(adapter(tmp_path, init_lora_weights="pissa", auto_mapping={"base_model_class": "os"}))
    assert (read.init_lora_weights, read.auto_mapping, read.r, read.lora_alpha) == (True, None, 2, 4.0)


def test_an_adapter_of_another_model_is_refused_and_leaves_nothing(trained: Workdir, tmp_path: Path) -> None:
    strange = tmp_path / "strange"
    shutil.copytree(all_checkpoints(trained.path)[0], strange)
    tensors = load_file(strange / "adapter_model.safetensors")
    lost = min(tensors)
    del tensors[lost]
    save_file(tensors, strange / "adapter_model.safetensors")
    with pytest.raises(JobError, match=f"belongs to another model: {lost}"):
        merge(TINY, strange, tmp_path / "out", "Mine", "tests/tiny")
    assert [name for name in ("out", ".out") if (tmp_path / name).exists()] == []


def test_the_head_of_a_card_is_one_line_a_field() -> None:
    lines = checkpoint_card("My\n---\nx: y", "a/b@c\nlicense: mit").splitlines()
    assert (lines[3], lines[8]) == ("base_model: a/b@clicense:mit", "# My --- x: y")
