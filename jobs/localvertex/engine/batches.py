"""Rows as tensors: padded to the longest for transformers' model, or one after another: for the fast one, and packed
for attention that tells rows apart by their positions."""

from itertools import chain
from typing import Any

import torch
from torch import Tensor

from jobs.localvertex.engine.tokens import IGNORED
from jobs.localvertex.engine.vision import Vision


class Collator:
    """`flat`: without padding, except where a row has pictures. `packed`: the same as one long row with positions that
    begin again; not for a model that sees, whose kinds of tokens are told by row."""

    def __init__(self, pad: int, vision: Vision | None, flat: bool = False, packed: bool = False) -> None:
        self.pad = pad
        self.vision = vision
        self.flat = flat
        self.packed = packed and vision is None

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        if self.flat and not any(row["images"] for row in rows):
            return {
                "lengths": torch.tensor([len(row["input_ids"]) for row in rows]),
                **{name: torch.tensor([*chain(*(row[name] for row in rows))]) for name in ("input_ids", "labels")},
            }
        if self.packed:
            return self.pack(rows)
        width = max(len(row["input_ids"]) for row in rows)
        batch = {
            "input_ids": self.pad_rows([row["input_ids"] for row in rows], width, self.pad),
            "labels": self.pad_rows([row["labels"] for row in rows], width, IGNORED),
            "attention_mask": self.pad_rows([[1] * len(row["input_ids"]) for row in rows], width, 0),
        }
        if self.vision:  # image tokens (1) see each other in both directions
            batch["token_type_ids"] = (batch["input_ids"] == self.vision.image_token).long()
            images = [image for row in rows for image in row["images"]]
            if images:
                batch["pixel_values"] = torch.stack([self.vision.pixels(image) for image in images])
        return batch

    @staticmethod
    def pack(rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        """The last token of a row predicts nothing: the first of the next is no answer to it."""
        return {
            "input_ids": torch.tensor([[*chain(*(row["input_ids"] for row in rows))]]),
            "labels": torch.tensor([[*chain(*([IGNORED, *row["labels"][1:]] for row in rows))]]),
            "position_ids": torch.tensor([[*chain(*(range(len(row["input_ids"])) for row in rows))]]),
        }

    @staticmethod
    def pad_rows(rows: list[list[int]], width: int, value: int) -> Tensor:
        return torch.tensor([row + [value] * (width - len(row)) for row in rows])
