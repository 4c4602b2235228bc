"""The vocabulary of a tokenizer.json as llama.cpp's SentencePiece tokenizer needs it: pieces, scores and kinds.

Gemma's tokenizer.json lists every split of a piece as a merge, in order of score. So the rank of the first merge that
makes a piece takes the place of its score, and both tokenizers give the same ids."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from gguf import GGUFWriter, TokenType

from jobs.localvertex.engine.families.metaspace import pair_merges
from jobs.localvertex.engine.job import JobError
from jobs.localvertex.engine.tokens import load_template, special_token, tokenizer_config

Token = TypeVar("Token")
NEVER_MERGED = -1e6
ENDS_OF_TURN = ("<end_of_turn>", "<turn|>")
SHOWN = frozenset(
    ("<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>')
)


@dataclass(frozen=True)
class Piece:
    text: bytes
    score: float
    kind: TokenType


def scores_of(merges: list[Any]) -> dict[str, float]:
    scores: dict[str, float] = {}
    for rank, (left, right) in enumerate(pair_merges(merges)):
        scores.setdefault(left + right, -float(rank))
    return scores


def kind_of(text: str, unknown: str) -> TokenType:
    if text == unknown:
        return TokenType.UNKNOWN
    is_byte = len(text) == 6 and text.startswith("<0x") and text.endswith(">")
    return TokenType.BYTE if is_byte else TokenType.NORMAL


def read_tokenizer(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer.json"
    if not path.is_file():
        made = " Load the folder with transformers' AutoTokenizer and save it: that writes one."
        also = made if (folder / "tokenizer.model").is_file() else ""
        raise JobError(f"{folder.name} has no tokenizer.json, so it cannot be converted.{also}")
    stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return stored


def sort_by_id(tokens: dict[int, Token], folder: Path) -> list[Token]:
    """Ids must have no gaps."""
    if sorted(tokens) != list(range(len(tokens))):
        raise JobError(f"The token ids of {folder.name} have gaps, so it cannot be converted.")
    return [tokens[number] for number in range(len(tokens))]


def read_pieces(folder: Path, family: str = "Gemma 3") -> list[Piece]:
    """In order of their ids."""
    stored = read_tokenizer(folder)
    model = stored["model"]
    if model["type"] != "BPE":
        raise JobError(f"The tokenizer of {folder.name} is {model['type']}, not the BPE of {family}.")
    scores = scores_of(model["merges"])
    unknown = model.get("unk_token") or "<unk>"
    pieces = {
        number: Piece(text.encode(), scores.get(text, NEVER_MERGED), kind_of(text, unknown))
        for text, number in model["vocab"].items()
    }
    for token in stored["added_tokens"]:
        pieces[token["id"]] = added_piece(token, unknown)
    return sort_by_id(pieces, folder)


def added_piece(token: dict[str, Any], unknown: str) -> Piece:
    text = token["content"]
    if token["special"]:
        return Piece(text.encode(), NEVER_MERGED, TokenType.UNKNOWN if text == unknown else TokenType.CONTROL)
    return Piece(text.replace("▁", " ").encode(), NEVER_MERGED, TokenType.USER_DEFINED)


def write_vocabulary(writer: GGUFWriter, folder: Path, rows: int) -> int:
    """Returns how many rows of the embedding belong to a token: from the 4B on there are some more, never used."""
    pieces = read_pieces(folder)[:rows]
    writer.add_vocab_size(len(pieces))
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    _write_pieces(writer, folder, pieces)
    return len(pieces)


def write_merged(writer: GGUFWriter, folder: Path, rows: int) -> int:
    """As llama.cpp takes Gemma 4's: by the merges themselves. It reads what is said with its tokens for tools and
    thoughts, so these are no control tokens, which it would not show."""
    merges = read_tokenizer(folder)["model"]["merges"]
    pieces = [
        replace(piece, kind=TokenType.USER_DEFINED) if piece.text.decode() in SHOWN else piece
        for piece in read_pieces(folder, "Gemma 4")[:rows]
    ]
    writer.add_vocab_size(len(pieces))
    writer.add_tokenizer_model("gemma4")
    write_merges(writer, merges)
    _write_pieces(writer, folder, pieces)
    return len(pieces)


def write_merges(writer: GGUFWriter, merges: list[Any]) -> None:
    writer.add_token_merges([" ".join(pair) for pair in pair_merges(merges)])


def merges_across_lines(stored: dict[str, Any]) -> bool:
    """llama.cpp cuts Gemma 4's texts at line breaks before it merges."""
    made = scores_of(stored["model"]["merges"])
    return any("\n" in text and text.strip("\n") for text in made)


def _write_pieces(writer: GGUFWriter, folder: Path, pieces: list[Piece]) -> None:
    ids = {piece.text.decode(): number for number, piece in enumerate(pieces)}
    writer.add_token_list([piece.text for piece in pieces])
    writer.add_token_scores([piece.score for piece in pieces])
    writer.add_token_types([piece.kind for piece in pieces])
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    write_named_tokens(writer, folder, ids)
    writer.add_chat_template(load_template(folder))


def write_named_tokens(writer: GGUFWriter, folder: Path, ids: dict[str, int]) -> None:
    config = tokenizer_config(folder)
    add = {
        "bos": writer.add_bos_token_id,
        "eos": writer.add_eos_token_id,
        "unk": writer.add_unk_token_id,
        "pad": writer.add_pad_token_id,
    }
    for name, write in add.items():
        number = ids.get(special_token(config, f"{name}_token") or f"<{name}>")
        if number is not None:
            write(number)
    for end in ENDS_OF_TURN:
        if end in ids:
            writer.add_eot_token_id(ids[end])
