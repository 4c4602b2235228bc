"""Training and validation rows as token ids, and the statistics that a tuning job reports."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.localvertex.engine.job import JobError
from jobs.localvertex.engine.rows import read_rows
from jobs.localvertex.engine.talk import Turn
from jobs.localvertex.engine.tokens import ChatEncoder, Encoded

SAMPLE_ROWS, SAMPLE_CHARACTERS = 3, 400


@dataclass
class Examples:
    """The rows that can be learned from. Indices count the rows of the file from zero."""

    rows: list[Encoded] = field(default_factory=list)
    characters: int = 0
    messages: list[int] = field(default_factory=list)
    truncated: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    samples: list[dict[str, str]] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        return sum(len(row.input_ids) for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> dict[str, Any]:
        row = self.rows[number]
        return {"input_ids": row.input_ids, "labels": row.labels, "images": row.images}

    def add(self, index: int, turns: list[Turn], encoded: Encoded, max_length: int) -> None:
        if len(encoded.input_ids) > max_length:
            self.truncated.append(index)
            encoded = encoded.cut(max_length)
        if not encoded.answers:
            self.dropped.append(index)
            return
        self.rows.append(encoded)
        self.characters += sum(turn.characters for turn in turns)
        if len(self.messages) < SAMPLE_ROWS:
            self.samples += [{"role": turn.role, "text": turn.content[:SAMPLE_CHARACTERS]} for turn in turns]
        self.messages.append(len(turns))


def load_examples(path: Path, encoder: ChatEncoder, max_length: int, what: str) -> Examples:
    rows = read_rows(path, what, images=encoder.vision is not None, tools=encoder.knows_tools)
    examples = Examples()
    for index, (turns, encoded) in enumerate(zip(rows, encoder.encode_all(rows), strict=True)):
        examples.add(index, turns, encoded, max_length)
    if not examples.rows:
        raise JobError(
            f"No row of the {what} has an answer within the first {max_length:,} tokens. "
            "Shorten the prompts, or check that every row ends with an answer."
        )
    return examples


def statistics(train: Examples, validation: Examples | None) -> dict[str, Any]:
    answers = [row.answers for row in train.rows]
    return {
        "examples": len(train),
        "validation_examples": len(validation) if validation else 0,
        "characters": train.characters,
        "tokens": train.tokens,
        "billable_tokens": train.tokens,
        "truncated": train.truncated,
        "dropped": len(train.dropped),
        "dropped_rows": train.dropped,
        "input_tokens": [len(row.input_ids) - count for row, count in zip(train.rows, answers, strict=True)],
        "output_tokens": answers,
        "messages": train.messages,
        "samples": train.samples,
    }
