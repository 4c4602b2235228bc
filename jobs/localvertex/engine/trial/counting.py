"""How many tokens rows have for a training: those that its statistics will tell. Nothing here waits for torch."""

import io
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from jobs.localvertex.engine.dataset import Examples
from jobs.localvertex.engine.rows import NO_IMAGES, NO_TOOLS, RowError, parse_line
from jobs.localvertex.engine.tokens import ChatEncoder


def _draw_stand_in(uri: str) -> bytes:
    """For an image in a bucket: whatever that shows, it has as many tokens."""
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "PNG")
    return content.getvalue()


def count_tokens(folder: Path, lines: Iterable[str], max_length: int) -> int:
    """Of one pass: with the chat template, cut to `max_length`, without rows that a training leaves out."""
    encoder = ChatEncoder(folder)
    rows = [parse_line(line, _draw_stand_in) for line in lines]
    if not encoder.knows_tools and any(row.uses_tools for row in rows):
        raise RowError(NO_TOOLS)
    if encoder.vision is None and any(turn.images for row in rows for turn in row):
        raise RowError(NO_IMAGES)
    texts = [encoder.render(turns) for turns in rows]
    encodings = encoder.tokenizer.encode_batch(texts, add_special_tokens=False)
    whole = sum(len(encoding.ids) for encoding in encodings if len(encoding.ids) <= max_length)
    cut = Examples()
    long = [turns for turns, encoding in zip(rows, encodings, strict=True) if len(encoding.ids) > max_length]
    for index, (turns, encoded) in enumerate(zip(long, encoder.encode_all(long), strict=True)):
        cut.add(index, turns, encoded, max_length)
    return whole + cut.tokens
