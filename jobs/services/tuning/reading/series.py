"""The curves of a training, by whatever name its program reports them.

What several programs call differently gets one name, that of Vertex AI's documentation where it has one; everything
else keeps its own. Names come from outside, so their number and their length have limits.
"""

import re
from collections.abc import Mapping, Sequence

from jobs.log_lines import escape
from jobs.models import thin_out
from jobs.vertex.values import Point

TRAIN, EVAL = "/train_total_loss", "/eval_total_loss"
TAG_LENGTH, MOST_SERIES, MOST_POINTS = 100, 60, 2000
# Of Trainer, TRL, Axolotl and the containers of Model Garden and of this project, in small letters and without signs.
ALIASES: Mapping[str, Sequence[str]] = {
    TRAIN: ("train_loss", "loss", "training_loss"),
    EVAL: ("eval_loss", "validation_loss", "val_loss"),
    "/train_fraction_of_correct_next_step_preds": (
        "train_mean_token_accuracy",
        "mean_token_accuracy",
        "train_token_accuracy",
        "train_accuracy",
    ),
    "/eval_fraction_of_correct_next_step_preds": (
        "eval_mean_token_accuracy",
        "eval_token_accuracy",
        "eval_accuracy",
        "validation_accuracy",
    ),
    "/train_num_predictions": (),
    "/eval_num_predictions": (),
    "/train_learning_rate": ("learning_rate", "lr"),
    "/train_grad_norm": ("grad_norm", "gradient_norm"),
    "/eval_perplexity": ("perplexity", "validation_perplexity", "val_perplexity"),
    "/train_perplexity": (),
    "/eval_bleu": ("bleu",),
}

_SIGNS = re.compile(r"[^a-z0-9]+")
_BY_NAME = {
    name: (tag, rank) for tag, aliases in ALIASES.items() for rank, name in enumerate([tag.removeprefix("/"), *aliases])
}


def name_series(found: Mapping[str, Sequence[Point]]) -> dict[str, Sequence[Point]]:
    """The known ones first, so that a flood of others leaves no curve of a loss out."""
    ranked = sorted((*_known(tag), tag) for tag in found)
    named: dict[str, Sequence[Point]] = {}
    for is_unknown, _rank, known, tag in ranked:
        name = known if not is_unknown and known not in named else _clean_name(tag)
        if name and name not in named and len(named) < MOST_SERIES:
            named[name] = thin_out(list(found[tag]), MOST_POINTS)
    return named


def _known(tag: str) -> tuple[bool, int, str]:
    name, rank = _BY_NAME.get(_SIGNS.sub("_", tag[:TAG_LENGTH].lower()).strip("_"), ("", 0))
    return not name, rank, name


def _clean_name(tag: str) -> str:
    """One line without what turns the direction of text."""
    return escape(tag[:TAG_LENGTH])[:TAG_LENGTH].strip()
