"""The vocabulary of a tokenizer.json that SentencePiece trained, as llama.cpp needs it: pieces, scores and kinds.

Gemma's are written by `vocabulary`, which takes more for granted."""

from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType

from jobs.localvertex.engine.export.vocabulary import (
    NEVER_MERGED,
    Piece,
    added_piece,
    kind_of,
    sort_by_id,
    write_named_tokens,
)
from jobs.localvertex.engine.families.metaspace import Before, check_exact, find_scores, space_before
from jobs.localvertex.engine.job import JobError
from jobs.localvertex.engine.tokens import bos_of, load_template, starts_with_special, tokenizer_config


def check_sentencepiece(folder: Path, stored: dict[str, Any]) -> None:
    """Raises JobError where llama.cpp would read a chat in another way."""
    check_exact(stored)
    if space_before(stored) == Before.FIRST and not starts_with_special(folder, stored):
        raise JobError(
            "The tokenizer puts a space before a text, but not after its special tokens, and the chat template begins"
            " with a text. llama.cpp does not do that, so the model cannot be converted. Give a model.gguf instead."
        )


def write_sentencepiece(writer: GGUFWriter, folder: Path, stored: dict[str, Any], rows: int) -> int:
    """Returns how many rows of the embedding belong to a token; what is above is never used."""
    pieces = _read_pieces(folder, stored)[:rows]
    writer.add_vocab_size(len(pieces))
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([piece.text for piece in pieces])
    writer.add_token_scores([piece.score for piece in pieces])
    writer.add_token_types([piece.kind for piece in pieces])
    writer.add_add_bos_token(bool(bos_of(stored, tokenizer_config(folder))))
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(space_before(stored) == Before.EACH)
    write_named_tokens(writer, folder, {piece.text.decode(): number for number, piece in enumerate(pieces)})
    writer.add_chat_template(load_template(folder))
    return len(pieces)


def _read_pieces(folder: Path, stored: dict[str, Any]) -> list[Piece]:
    """In order of their ids."""
    model, added = stored["model"], stored["added_tokens"]
    unknown = model.get("unk_token") or "<unk>"
    scores = find_scores(model, [token["content"] for token in added])
    pieces = {
        number: Piece(text.encode(), score_of(text, scores), kind_of(text, unknown))
        for text, number in model["vocab"].items()
    }
    for token in added:
        pieces[token["id"]] = added_piece(token, unknown)
    return sort_by_id(pieces, folder)


def score_of(text: str, scores: dict[str, float]) -> float:
    """Bytes are no pieces, and never merged: as SentencePiece has them."""
    return scores.get(text, NEVER_MERGED if kind_of(text, "") == TokenType.NORMAL else 0.0)
