"""Each family, from Hugging Face files to what llama.cpp answers: the same probabilities as by transformers."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGUFReader
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from jobs.localvertex.engine.export.gguf import check_convertible, convert
from jobs.localvertex.engine.families.configuration import Settings
from jobs.localvertex.engine.families.table import QWEN_2, TITLES
from jobs.localvertex.engine.job import EVENTS, EventLog, Job, JobError
from jobs.localvertex.engine.model import ON_CPU
from jobs.localvertex.engine.prepare import prepare, write_tokenizer
from jobs.localvertex.engine.talk import Turn
from jobs.localvertex.engine.tokens import ChatEncoder, load_template
from jobs.localvertex.engine.training import train
from jobs.localvertex.engine.vision import Vision
from tests.jobs.localvertex.engine.conftest import Workdir
from tests.jobs.localvertex.engine.llama import Llama, llama
from tests.jobs.localvertex.engine.sentencepiece import KINDS
from tests.jobs.localvertex.engine.tiny import SHAPES, TEMPLATE, make_model

SPACE_FIRST = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
QUESTION = "What's 1234567 + 89, Émile's 🦜?  And\n\nthe rest? <tool>"
QUESTIONS = [QUESTION[:length] for length in range(4, len(QUESTION) + 1, 7)]
TOKENS, MOST = 20, 0.02


def greatest_difference(folder: Path, served: Llama, adapter: Path | None = None) -> float:
    """Of the logarithms of the probabilities of the tokens that llama.cpp thinks likeliest to begin an answer."""
    encoder, found = ChatEncoder(folder), list[float]()
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter:
        model = PeftModel.from_pretrained(model, adapter)
    for question in QUESTIONS:
        prompt = encoder.encode_prompt([Turn("user", question)])
        with torch.inference_mode():
            likely = torch.log_softmax(model(torch.tensor([prompt])).logits[0, -1], -1)
        found += [abs(float(likely[token]) - told) for token, told in served.likely(question, TOKENS).items()]
    assert len(found) >= TOKENS * len(QUESTIONS) // 2
    return max(found)


def test_a_converted_model_answers_with_the_same_probabilities(tmp_path: Path) -> None:
    folder = make_model("SmolLM2", tmp_path / "model")
    (made,) = convert(folder, tmp_path)
    with llama(made, hf=folder) as served:
        assert greatest_difference(folder, served) < MOST


QLORA = pytest.param(
    {"tuning_mode": "PEFT_ADAPTER", "learning_rate": 0.01, "quantization": "4bit"},
    id="QLORA",
    marks=pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs the extra qlora"),
)
WAYS = [
    pytest.param({"tuning_mode": "PEFT_ADAPTER", "learning_rate": 0.01}, id="LORA"),
    QLORA,
    pytest.param({"tuning_mode": "FULL", "learning_rate": 0.002}, id="FULL"),
]


def train_here(workdir: Workdir) -> None:
    """In this process, which has imported everything: that takes longer than these trainings."""
    events = EventLog(workdir.path / EVENTS)
    train(Job.read(workdir.path / "job.json"), workdir.path, events, lambda: None, ON_CPU)
    events.flush()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")  # transformers' own, in peft
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("way", WAYS)
def test_a_tuned_model_answers_with_the_same_probabilities(workdir: Workdir, shape: str, way: dict[str, Any]) -> None:
    base = make_model(shape, workdir.path / "base")
    # With seed 0, an expert is ahead of the next by 0.018: rounding chooses the other one, and answers are 0.04 apart.
    seed = 2 if shape == "gpt-oss" else 0
    workdir.describe(base_model_dir=str(base), max_steps=8, epochs=1, base_model=str(base), seed=seed, **way)
    train_here(workdir)
    final = workdir.path / "final"
    losses = [event["loss"] for event in workdir.events("step")]
    assert losses[-1] < losses[0]
    (whole,) = convert(final, workdir.path / "whole", "f32")
    with llama(whole, hf=final) as served:
        assert greatest_difference(final, served) < MOST
    (made,) = convert(base, workdir.path, "f32")
    with llama(made, hf=base) as served:
        assert greatest_difference(final, served) > 5 * MOST  # it has learned something
    if way["tuning_mode"] == "PEFT_ADAPTER":
        with llama(made, final / "adapter" / "adapter.gguf", hf=base) as served:
            assert greatest_difference(base, served, final / "adapter") < MOST


@pytest.mark.parametrize("shape", ["SmolLM2", "TinyLlama", "Qwen 2.5", "Qwen 3"])
def test_a_gguf_file_becomes_the_folder_it_came_from(tmp_path: Path, shape: str) -> None:
    folder = make_model(shape, tmp_path / "model")
    (made,) = convert(folder, tmp_path, "f32")
    prepare(made, tmp_path / "again", lambda stage, fraction: None)
    first, second = (load_file(path / "model.safetensors") for path in (folder, tmp_path / "again"))
    assert {name: torch.equal(tensor.bfloat16(), second[name]) for name, tensor in first.items()} == dict.fromkeys(
        second, True
    )
    encoders = [ChatEncoder(path) for path in (folder, tmp_path / "again")]
    template = KINDS["llama-2"].template if shape == "TinyLlama" else TEMPLATE
    assert [one.template for one in encoders] == [template, template]
    prompts = [[one.encode_prompt([Turn("user", text)]) for text in QUESTIONS] for one in encoders]
    assert prompts[0] == prompts[1]


def test_a_gguf_file_without_a_chat_template_gets_none_of_another_family(tmp_path: Path) -> None:
    (made,) = convert(make_model("Qwen 2.5", tmp_path / "model"), tmp_path)
    reader = GGUFReader(made)
    del reader.fields["tokenizer.chat_template"]
    write_tokenizer(made, tmp_path / "again", QWEN_2, Settings(reader))
    (tmp_path / "again" / "config.json").write_text('{"model_type": "qwen2"}')
    with pytest.raises(JobError, match="This Qwen 2 model has no chat template"):
        load_template(tmp_path / "again")


def test_rotary_positions_of_llama_3_1_are_not_had_back(tmp_path: Path) -> None:
    (made,) = convert(make_model("Llama 3", tmp_path / "model"), tmp_path)
    with pytest.raises(JobError, match="Tune the model from its Hugging Face files"):
        prepare(made, tmp_path / "again", lambda stage, fraction: None)


@pytest.mark.parametrize("shape", ["Mistral 7B v0.1", "Phi 3"])
def test_a_model_with_a_window_is_served_within_it(tmp_path: Path, shape: str) -> None:
    (made,) = convert(make_model(shape, tmp_path / "model"), tmp_path)
    settings = Settings(GGUFReader(made))
    assert (settings["context_length"], settings.find("attention.sliding_window") or None) == (1024, None)


@pytest.mark.parametrize(
    ("shape", "change", "problem"),
    [
        ("Qwen 2.5", {"hidden_act": "gelu"}, "differs from Qwen 2 in its activation"),
        ("Qwen 2.5", {"use_sliding_window": True, "sliding_window": 64}, "from Qwen 2 in an attention window"),
        (
            "Qwen 2.5", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
            "of the kind dynamic cannot be converted for a Qwen 2 model",
        ),
        ("Qwen 2.5", {"model_type": "falcon"}, f"is a falcon model; only {TITLES} can be converted"),
        ("SmolLM3", {"no_rope_layers": [1, 1, 1, 1, 0]}, "from SmolLM3 in which of its layers know positions"),
        ("Phi 4", {"sliding_window": 64}, "from Phi 3 in an attention window"),
        ("Gemma 4 31B", {"hidden_activation": "silu"}, "from Gemma 4 in its activation"),
        ("gpt-oss", {"swiglu_limit": 6.0}, "from gpt-oss in its activation"),
        ("gpt-oss", {"layer_types": ["full_attention"] * 3}, "from gpt-oss in the order of its attention layers"),
    ],
)  # fmt: skip
def test_what_llama_cpp_would_serve_wrongly_is_refused(
    tmp_path: Path, shape: str, change: dict[str, Any], problem: str
) -> None:
    folder = make_model(shape, tmp_path / "model")
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(JobError, match=problem):
        convert(folder, tmp_path / "out")
    assert list(tmp_path.glob("out/*")) == []


@pytest.mark.parametrize("shape", ["SmolLM3", "Phi 4", "Gemma 4 E2B", "gpt-oss"])
def test_of_some_families_a_gguf_file_is_deployed_only(tmp_path: Path, shape: str) -> None:
    (made,) = convert(make_model(shape, tmp_path / "model"), tmp_path)
    with pytest.raises(JobError, match="which can be deployed.*is tuned from its Hugging Face files; only Gemma"):
        prepare(made, tmp_path / "again", lambda stage, fraction: None)


@pytest.mark.parametrize(
    ("shape", "file", "change", "problem"),
    [
        ("Qwen 2.5", "config.json", {"model_type": "falcon"}, f"is a falcon model; only {TITLES}"),
        ("Phi 4", "config.json", {"sliding_window": 64}, "differs from Phi 3 in an attention window"),
        ("SmolLM2", "tokenizer.json", {"pre_tokenizer": None}, "neither of the byte-level kind nor SentencePiece's"),
        ("SmolLM2", "tokenizer.json", {"pre_tokenizer": SPACE_FIRST}, "cuts texts in a way that is not known here"),
    ],
)
def test_what_could_not_be_served_is_refused_before_it_is_tuned(
    workdir: Workdir, shape: str, file: str, change: dict[str, Any], problem: str
) -> None:
    base = make_model(shape, workdir.path / "base")
    (base / file).write_text(json.dumps(json.loads((base / file).read_text()) | change))
    workdir.describe(base_model_dir=str(base))
    with pytest.raises(JobError, match=problem):
        train_here(workdir)
    assert workdir.events("data_stats") == []


def test_a_tokenizer_of_another_kind_is_no_problem_beside_a_gguf_file(tmp_path: Path) -> None:
    folder = make_model("SmolLM2", tmp_path / "model")
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pre_tokenizer": SPACE_FIRST}))
    check_convertible(folder, whole=False)
    with pytest.raises(JobError, match="cuts texts in a way that is not known here"):
        check_convertible(folder, whole=True)


def test_line_breaks_that_gemma_4_merges_with_letters_are_refused(tmp_path: Path) -> None:
    folder = make_model("Gemma 4 31B", tmp_path / "model")
    stored = json.loads((folder / "tokenizer.json").read_text())
    stored["model"]["merges"].append(["a", "\n"])
    (folder / "tokenizer.json").write_text(json.dumps(stored))
    with pytest.raises(JobError, match="merges line breaks with other characters, as that of no Gemma 4 does"):
        convert(folder, tmp_path / "out")


def test_the_senses_of_gemma_4_are_left_out(tmp_path: Path) -> None:
    folder = make_model("Gemma 4 31B", tmp_path / "model")
    (alone,) = convert(folder, tmp_path / "alone", "f32")
    weights = load_file(folder / "model.safetensors")
    nested = {name.replace("model.", "model.language_model.", 1): one for name, one in weights.items()}
    for part in ("vision_tower", "audio_tower", "embed_vision", "embed_audio"):
        nested[f"model.{part}.patch.weight"] = torch.ones(2, 2)
    save_file(nested, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    whole = {"model_type": "gemma4", "text_config": config, "vision_config": {}, "audio_config": {}}
    (folder / "config.json").write_text(json.dumps(whole))
    assert Vision.read(folder) is None
    (made,) = convert(folder, tmp_path / "out", "f32", "model")
    assert made.read_bytes() == alone.read_bytes()


def test_a_model_without_a_chat_template_gets_a_sentence(tmp_path: Path) -> None:
    folder = make_model("Qwen 3", tmp_path / "model")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(JobError, match=r"This Qwen 3 model has no chat template. Add chat_template.jinja"):
        ChatEncoder(folder)


def test_answers_that_the_template_writes_differently_later_are_not_learned(tmp_path: Path) -> None:
    """As Qwen 3's, which leaves the thoughts of earlier answers out."""
    folder = make_model("Qwen 3", tmp_path / "model")
    thought = "{% if loop.last and message['role'] == 'assistant' %}<think></think>{% endif %}"
    changed = TEMPLATE.replace("+ message['content']", f"}}}}{thought}{{{{ message['content']")
    (folder / "chat_template.jinja").write_text(changed)
    encoder = ChatEncoder(folder)
    turns = [Turn("user", "One?"), Turn("assistant", "First."), Turn("user", "Two?"), Turn("assistant", "Second.")]
    text = encoder.render(turns)
    assert [text[start:end] for start, end in encoder.answer_spans(turns)] == ["<think></think>Second.<|im_end|>"]
