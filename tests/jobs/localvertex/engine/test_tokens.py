from pathlib import Path

import pytest
from transformers import AutoTokenizer

from jobs.localvertex.engine.talk import Turn
from jobs.localvertex.engine.tokens import ChatEncoder
from tests.jobs.localvertex.engine.conftest import TINY
from tests.jobs.localvertex.engine.tiny import make_model

CONVERSATIONS = [
    [Turn("user", "Hi")],
    [Turn("system", "Be brief."), Turn("user", "  What colour is snow?\n")],
    [Turn("user", "Hi"), Turn("assistant", " Hello! "), Turn("user", "a\n\nb  c 🦜 <start_of_turn>")],
]


@pytest.mark.parametrize("turns", CONVERSATIONS)
def test_same_tokens_as_transformers(turns: list[Turn]) -> None:
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    tokenizer = AutoTokenizer.from_pretrained(TINY)
    expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert ChatEncoder(TINY).encode_prompt(turns) == expected


def test_what_the_tokenizer_puts_before_a_text_comes_once(tmp_path: Path) -> None:
    """As llama.cpp does it."""
    folder = make_model("TinyLlama", tmp_path / "model")
    turns = [Turn("user", "Hi"), Turn("assistant", "Yes.")]
    encoder = ChatEncoder(folder)
    prompt, (row,) = encoder.encode_prompt(turns[:1]), encoder.encode_all([turns])
    assert (prompt[0], row.input_ids[0], row.labels[0]) == (1, 1, -100)
    assert prompt[1:] == encoder.tokenizer.encode(encoder.render(turns[:1], prompt=True), add_special_tokens=False).ids
    (folder / "chat_template.jinja").write_text("{{ bos_token }}" + encoder.template)
    again = ChatEncoder(folder)
    assert (again.encode_prompt(turns[:1]).count(1), again.encode_all([turns])) == (1, [row])


def test_the_end_of_an_answer_is_learned_without_the_white_space_that_it_takes(tmp_path: Path) -> None:
    encoder = ChatEncoder(make_model("Phi 3", tmp_path / "model"))
    (row,) = encoder.encode_all([[Turn("user", "Hi"), Turn("assistant", "Yes."), Turn("user", "Yes.")]])
    learned = [encoder.tokenizer.id_to_token(token) for token in row.labels if token >= 0]
    assert learned == ["▁", "Y", "es", ".", "<|end|>"]
