"""The vocabulary of a byte-level tokenizer.json (GPT-2's kind) as llama.cpp needs it: tokens, kinds and merges."""

from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType

from jobs.localvertex.engine.export.vocabulary import sort_by_id, write_merges, write_named_tokens
from jobs.localvertex.engine.families.pre_tokenizers import name_of
from jobs.localvertex.engine.tokens import bos_of, load_template, tokenizer_config


def write_byte_level(writer: GGUFWriter, folder: Path, stored: dict[str, Any], rows: int) -> int:
    """Returns how many rows of the embedding belong to a token; what is above is never used."""
    model = stored["model"]
    tokens = {number: (text, TokenType.NORMAL) for text, number in model["vocab"].items()}
    for added in stored["added_tokens"]:
        kind = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
        tokens[added["id"]] = (added["content"], kind)
    ordered = sort_by_id(tokens, folder)[:rows]
    count = len(ordered)
    writer.add_vocab_size(count)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(name_of(stored))
    writer.add_token_list([text for text, _kind in ordered])
    writer.add_token_types([kind for _text, kind in ordered])
    write_merges(writer, model["merges"])
    writer.add_add_bos_token(bool(bos_of(stored, tokenizer_config(folder))))
    writer.add_add_space_prefix(False)
    write_named_tokens(writer, folder, {text: number for number, (text, _kind) in tokens.items()})
    writer.add_chat_template(load_template(folder))
    return count
