import json
import signal
from typing import Any

import pytest

from jobs.localvertex.engine.export.gguf import convert
from jobs.localvertex.engine.talk import Turn
from jobs.localvertex.engine.tokens import ChatEncoder
from tests.jobs.localvertex.engine.conftest import TINY, TUNE, Workdir
from tests.jobs.localvertex.engine.llama import llama

HELD_OUT = json.loads((TUNE / "heldout.json").read_text())
EPOCHS = HELD_OUT["training"]["epochs"]


def test_events_tell_the_whole_story(trained: Workdir) -> None:
    stats = trained.events("data_stats")[0]
    steps, epoch = list(range(1, stats["steps"] + 1)), stats["steps_per_epoch"]
    assert [event["step"] for event in trained.events("step")] == steps
    assert [event["step"] for event in trained.events("eval")] == steps[epoch - 1 :: epoch]
    assert [event["epoch"] for event in trained.events("checkpoint")] == list(range(1, EPOCHS + 1))
    assert [event["event"] for event in trained.events()[-2:]] == ["exporting", "done"]


def test_every_answer_token_is_counted_once_an_epoch(trained: Workdir) -> None:
    stats = trained.events("data_stats")[0]
    predictions = sum(event["num_predictions"] for event in trained.events("step"))
    assert predictions == EPOCHS * sum(stats["output_tokens"])


def test_style_is_learned_on_prompts_outside_the_data(trained: Workdir) -> None:
    with llama(TINY / "model.gguf", trained.path / "final" / "adapter" / "adapter.gguf") as tuned:
        answers = [tuned.ask(question["prompt"]) for question in HELD_OUT["questions"]]
    style = HELD_OUT["style"]
    styled = [text for text in answers if text.startswith(style["starts_with"]) and text.endswith(style["ends_with"])]
    right = [text for text, question in zip(answers, HELD_OUT["questions"], strict=True) if text == question["tuned"]]
    assert len(styled) >= len(answers) - 1
    assert len(right) >= len(answers) - 3


def test_base_answers_plainly(trained: Workdir) -> None:
    with llama(TINY / "model.gguf") as base:
        answers = [base.ask(question["prompt"]) for question in HELD_OUT["questions"]]
    assert answers == [question["plain"] for question in HELD_OUT["questions"]]


def test_llama_cpp_makes_the_tokens_of_training(trained: Workdir) -> None:
    text = "Be brief.\n\nWhat colour is the sky? a  b 🦜\nÉ"
    with llama(TINY / "model.gguf") as base:
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text.partition("\n\n")[2]}]
        prompt = base.post("/apply-template", {"messages": messages})["prompt"]
        tokens = base.tokens(str(prompt).removeprefix("<bos>"))
    assert tokens == ChatEncoder(TINY).encode_prompt([Turn("user", text)])


def test_final_is_a_whole_model(trained: Workdir) -> None:
    final = trained.path / "final"
    names = {str(path.relative_to(final)) for path in final.rglob("*") if path.is_file()}
    assert names == {
        *["README.md", "config.json", "generation_config.json", "model.safetensors"],
        *["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"],
        *["adapter/adapter_config.json", "adapter/adapter_model.safetensors", "adapter/adapter.gguf"],
    }
    card = (final / "README.md").read_text()
    assert "LoRA, rank" in card
    assert str(trained.path) not in card + (final / "adapter" / "adapter_config.json").read_text()


def test_merged_model_answers_like_the_adapter(trained: Workdir) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    final = trained.path / "final"
    tokenizer, model = AutoTokenizer.from_pretrained(final), AutoModelForCausalLM.from_pretrained(final)
    messages = [{"role": "user", "content": HELD_OUT["questions"][0]["prompt"]}]
    options: dict[str, Any] = {"add_generation_prompt": True, "return_tensors": "pt", "return_dict": True}
    prompt: Any = tokenizer.apply_chat_template(messages, **options)
    made = model.generate(**prompt, max_new_tokens=32, do_sample=False)[0][prompt["input_ids"].shape[1] :]
    assert tokenizer.decode(made, skip_special_tokens=True) == HELD_OUT["questions"][0]["tuned"]


@pytest.mark.slow
def test_bad_data_fails_with_the_line(workdir: Workdir) -> None:
    path = workdir.write_rows("bad.jsonl", {"prompt": "Hi", "completion": "Hello!"}, {"prompt": "Hi"})
    workdir.describe(train_path=path)
    assert workdir.run() == 1
    failed = workdir.events()[-1]
    assert (failed["event"], failed["code"]) == ("failed", "INVALID_ARGUMENT")
    assert failed["message"].startswith("Line 2 of the training data: ")


@pytest.mark.slow
def test_sigterm_cancels_and_keeps_checkpoints(workdir: Workdir) -> None:
    workdir.describe(epochs=10, batch_size=1)
    process = workdir.start()
    workdir.wait_for("checkpoint")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 3
    assert workdir.events()[-1]["event"] == "cancelled"
    assert (workdir.path / workdir.events("checkpoint")[0]["path"] / "adapter.gguf").exists()


@pytest.mark.slow
def test_killed_training_goes_on_from_its_last_checkpoint(workdir: Workdir) -> None:
    process = workdir.start()
    workdir.wait_for("checkpoint", 2)
    process.kill()
    process.wait()
    saved = workdir.events("checkpoint")[-1]["step"]
    seen = len(workdir.events())
    assert workdir.run() == 0
    again = [event["step"] for event in workdir.events()[seen:] if event["event"] == "step"]
    assert again == list(range(saved + 1, workdir.events("data_stats")[0]["steps"] + 1))
    assert len(workdir.events("done")) == 1


@pytest.mark.slow
def test_killed_while_exporting_only_exports(trained: Workdir, workdir: Workdir) -> None:
    (workdir.path / "checkpoints").symlink_to(trained.path / "checkpoints")
    assert workdir.run() == 0
    assert workdir.events("step") == []
    assert (workdir.path / "final" / "adapter" / "adapter.gguf").exists()


@pytest.mark.slow
def test_full_tuning_exports_a_model_without_adapter(workdir: Workdir) -> None:
    workdir.describe(tuning_mode="FULL", learning_rate=5e-4, epochs=2, validation_path=None)
    assert workdir.run() == 0, (workdir.path / "train.log").read_text()
    assert not (workdir.path / "final" / "adapter").exists()
    assert "full fine-tuning" in (workdir.path / "final" / "README.md").read_text()
    losses = [event["loss"] for event in workdir.events("step")]
    assert losses[-1] < losses[0] / 4


@pytest.mark.slow
def test_full_tuning_is_served_as_gguf(workdir: Workdir) -> None:
    workdir.describe(tuning_mode="FULL", learning_rate=5e-4, validation_path=None)
    assert workdir.run() == 0, (workdir.path / "train.log").read_text()
    (model,) = convert(workdir.path / "final", workdir.path / "gguf")
    with llama(model) as tuned:
        answers = [tuned.ask(question["prompt"]) for question in HELD_OUT["questions"]]
    assert [text for text in answers if not text.startswith(HELD_OUT["style"]["starts_with"])] == []
