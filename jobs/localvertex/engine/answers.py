"""The loss over the answer tokens of a batch: the vocabulary head runs only where there is one to predict.

The head of Gemma 3 (262,144 rows) costs more per token than the rest of the 270M model."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional

from jobs.localvertex.engine.fast.decoder import FastDecoder
from jobs.localvertex.engine.fast.loss import answer_loss
from jobs.localvertex.engine.fast.supported import FastModel
from jobs.localvertex.engine.tokens import IGNORED


@dataclass(frozen=True)
class Answers:
    loss: Tensor  # the sum over the tokens
    right: Tensor
    count: int
    tokens: int  # of the whole rows


def measure_flat(fast: FastModel, batch: dict[str, Tensor]) -> Answers:
    wanted = (batch["labels"][1:] != IGNORED).nonzero()[:, 0]
    targets = batch["labels"][wanted + 1]
    found = fast(batch["input_ids"], batch["lengths"].tolist(), wanted)
    if isinstance(fast, FastDecoder):
        loss, right = answer_loss(found, fast.head, targets, fast.room)
    else:
        loss, right = loss_of_logits(found, targets)
    return Answers(loss, right, len(targets), len(batch["input_ids"]))


def measure_padded(model: Any, batch: dict[str, Tensor]) -> Answers:
    """Of packed rows, too: these have no padding, so no mask of it."""
    labels = batch["labels"][:, 1:]
    wanted = labels != IGNORED
    targets = labels[wanted]
    rest = {name: value for name, value in batch.items() if name != "labels"}
    tokens = int(batch["attention_mask"].sum()) if "attention_mask" in batch else batch["input_ids"].numel()
    logits = model(**rest, logits_to_keep=functional.pad(wanted, (0, 1)), use_cache=False).logits
    loss, right = loss_of_logits(logits, targets)
    return Answers(loss, right, len(targets), tokens)


def loss_of_logits(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of the losses, and how many of the tokens are predicted right."""
    logits = logits.float()
    return functional.cross_entropy(logits, targets, reduction="sum"), (logits.argmax(-1) == targets).sum()
