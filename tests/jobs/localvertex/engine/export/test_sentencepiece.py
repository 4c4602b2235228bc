"""llama.cpp reads texts as the same tokens as the tokenizer that the model was trained with."""

import json
import random
from pathlib import Path

import pytest
from gguf import GGUFReader, TokenType

from jobs.localvertex.engine.export.gguf import check_convertible, convert
from jobs.localvertex.engine.job import JobError
from jobs.localvertex.engine.talk import Turn
from jobs.localvertex.engine.tokens import ChatEncoder
from tests.jobs.localvertex.engine.llama import Llama, llama
from tests.jobs.localvertex.engine.sentencepiece import KINDS, PHI_3
from tests.jobs.localvertex.engine.tiny import make_model

SHAPES = {"llama-2": "TinyLlama", "mistral-v1": "Mistral 7B v0.1", "mistral-v3": "Mistral 7B v0.3", "phi-3": "Phi 3"}
HOSTILE = (
    "Hello", " Hello", "   three before", "after   ", "a  b   c    d     e", "x" + " " * 41 + "y", " " * 23,
    "\n", "\n\n x", "\t\ttab\r\n", "def f(x):\n    return {\n        'a': [1, 2],\n    }\n",
    "aaa aaaa aaaaaaa", "------", "한국어 문장입니다. 안녕하세요!", "🦜🏳\ufe0f\u200d🌈👩\u200d👧", "Émile's naïve café",
    "e\u0301 combining", "العربية עברית 𝒳", "\ufeffbom", "a\u00a0b\u3000c", "\x00\x01\x7f", "▁literal▁▁",
    "1234567890 3.14", "<0x0A> <unk> x", "</s>x</s>  y<s>z", "[INST] hi [/INST]",
    "<|user|>\n \n x<|end|>\n\t<|assistant|>\nHi</s>\n q<|endoftext|>\n y",
)  # fmt: skip
PARTS = (
    "a", "b", " ", "  ", "\n", "aa", "the ", "er", "in", " t", "한", "🦜", "é", "1", "--", "</s>", "<s>", "[INST]",
    "\t", "▁", "{", "ing", "     ", "<|end|>\n", *PHI_3,
)  # fmt: skip


def random_texts(count: int) -> list[str]:
    draw = random.Random(18)
    return ["".join(draw.choices(PARTS, k=draw.randint(1, 30))) for _ in range(count)]


def find_differing(served: Llama, encoder: ChatEncoder, texts: list[str], plain: bool) -> list[str]:
    """Which of them are other tokens in a chat, or with `plain` also by themselves."""

    def differs(text: str) -> bool:
        prompt = encoder.render([Turn("user", text)], prompt=True).removeprefix(encoder.bos)  # llama.cpp adds it
        in_chat = served.tokens(prompt) != encoder.encode_prompt([Turn("user", text)])
        return in_chat or (plain and served.tokens(text) != encoder.tokenizer.encode(text).ids)

    return [text for text in texts if differs(text)]


def test_the_same_tokens(tmp_path: Path) -> None:
    folder = make_model("TinyLlama", tmp_path / "phi3-rival")
    (made,) = convert(folder, tmp_path)
    with llama(made, hf=folder) as served:
        assert find_differing(served, ChatEncoder(folder), list(HOSTILE), plain=True) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", SHAPES)
def test_the_same_tokens_of_each_kind(tmp_path: Path, kind: str) -> None:
    """By themselves, texts differ where the tokenizer puts a space before the first only."""
    folder = make_model(SHAPES[kind], tmp_path / "model")
    (made,) = convert(folder, tmp_path)
    with llama(made, hf=folder) as served:
        texts = [*HOSTILE, *random_texts(100)]
        assert find_differing(served, ChatEncoder(folder), texts, plain=KINDS[kind].spaces == "Prepend") == []


def test_a_space_before_the_first_text_alone_is_refused_where_a_chat_begins_with_it(tmp_path: Path) -> None:
    folder = make_model("Mistral 7B v0.3", tmp_path / "model")
    check_convertible(folder, whole=True)
    (folder / "chat_template.jinja").write_text(KINDS["llama-2"].template)
    with pytest.raises(JobError, match="the chat template begins with a text"):
        check_convertible(folder, whole=True)


def test_scores_and_kinds_are_written_for_each_token(tmp_path: Path) -> None:
    folder = make_model("Phi 3", tmp_path / "model")
    (made,) = convert(folder, tmp_path)
    fields = GGUFReader(made).fields
    tokens, kinds, scores = (fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "token_type", "scores"))
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    assert tokens == sorted(vocabulary, key=vocabulary.get)
    expected = {
        "<unk>": TokenType.UNKNOWN,
        "<|end|>": TokenType.CONTROL,
        "<0x41>": TokenType.BYTE,
        "▁": TokenType.NORMAL,
    }
    assert {text: kinds[vocabulary[text]] for text in expected} == expected
    assert (scores[vocabulary["<0x41>"]], len(scores)) == (0.0, len(tokens))
    told = ("add_bos_token", "add_space_prefix", "pre", "model")
    assert [fields[f"tokenizer.ggml.{name}"].contents() for name in told] == [False, True, "default", "llama"]
    assert fields["general.name"].contents() == "model (Phi-3)"
