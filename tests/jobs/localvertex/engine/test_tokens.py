import pytest
from transformers import AutoTokenizer

from jobs.localvertex.engine.talk import Turn
from jobs.localvertex.engine.tokens import ChatEncoder
from tests.jobs.localvertex.engine.conftest import TINY

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
