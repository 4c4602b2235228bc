"""Each family, from Hugging Face files to what llama.cpp answers: the same probabilities as by transformers."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGUFReader
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from jobs.localvertex.engine.export.gguf import convert
from jobs.localvertex.engine.families.configuration import Settings
from jobs.localvertex.engine.families.table import QWEN_2, TITLES
from jobs.localvertex.engine.job import JobError
from jobs.localvertex.engine.prepare import prepare, write_tokenizer
from jobs.localvertex.engine.talk import Turn
from jobs.localvertex.engine.tokens import ChatEncoder, load_template
from tests.jobs.localvertex.engine.conftest import Workdir
from tests.jobs.localvertex.engine.llama import Llama, llama
from tests.jobs.localvertex.engine.tiny import SHAPES, TEMPLATE, make_model

QUESTION = "What's 1234567 + 89, Émile's 🦜?  And\n\nthe rest? <tool>"
QUESTIONS = [QUESTION[:length] for length in range(4, len(QUESTION) + 1, 7)]
TOKENS, MOST = 20, 0.02


def greatest_difference(folder: Path, served: Llama) -> float:
    """Of the logarithms of the probabilities of the tokens that llama.cpp thinks likeliest to begin an answer."""
    encoder, found = ChatEncoder(folder), list[float]()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
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


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", ["PEFT_ADAPTER", "FULL"])
def test_a_tuned_model_answers_with_the_same_probabilities(workdir: Workdir, shape: str, mode: str) -> None:
    base = make_model(shape, workdir.path / "base")
    rate = 0.01 if mode == "PEFT_ADAPTER" else 0.002
    workdir.describe(
        base_model_dir=str(base), tuning_mode=mode, learning_rate=rate, max_steps=8, epochs=1, base_model="tests/tiny"
    )
    assert workdir.run() == 0, (workdir.path / "train.log").read_text()
    final = workdir.path / "final"
    losses = [event["loss"] for event in workdir.events("step")]
    assert losses[-1] < losses[0]
    (whole,) = convert(final, workdir.path / "whole", "f32")
    with llama(whole, hf=final) as served:
        assert greatest_difference(final, served) < MOST
    (made,) = convert(base, workdir.path, "f32")
    with llama(made, hf=base) as served:
        assert greatest_difference(final, served) > 5 * MOST  # it has learned something
    if mode == "PEFT_ADAPTER":
        with llama(made, final / "adapter" / "adapter.gguf", hf=base) as served:
            assert greatest_difference(final, served) < MOST


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape not in ("Llama 3", "Mistral")])
def test_a_gguf_file_becomes_the_folder_it_came_from(tmp_path: Path, shape: str) -> None:
    folder = make_model(shape, tmp_path / "model")
    (made,) = convert(folder, tmp_path, "f32")
    prepare(made, tmp_path / "again", lambda stage, fraction: None)
    first, second = (load_file(path / "model.safetensors") for path in (folder, tmp_path / "again"))
    assert {name: torch.equal(tensor.bfloat16(), second[name]) for name, tensor in first.items()} == dict.fromkeys(
        second, True
    )
    encoders = [ChatEncoder(path) for path in (folder, tmp_path / "again")]
    assert [one.template for one in encoders] == [TEMPLATE, TEMPLATE]
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


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"hidden_act": "gelu"}, "differs from Qwen 2 in its activation"),
        ({"use_sliding_window": True, "sliding_window": 64}, "differs from Qwen 2 in a window of its attention"),
        ({"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, "of the kind dynamic"),
        ({"model_type": "falcon"}, f"is a falcon model; only {TITLES} can be converted"),
    ],
)
def test_what_llama_cpp_would_serve_wrongly_is_refused(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    folder = make_model("Qwen 2.5", tmp_path / "model")
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(JobError, match=problem):
        convert(folder, tmp_path / "out")
    assert list(tmp_path.glob("out/*")) == []


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
