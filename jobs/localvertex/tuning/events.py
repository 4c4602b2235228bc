"""What the training engine tells through WORKDIR/events.jsonl."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from jobs.localvertex.api.wire import Json

PERPLEXITY = "perplexity"  # no field of an event: of its loss
MAX_EXPONENT = 100.0
# tag → the field of a `step` or `eval` event
TAGS: dict[str, tuple[str, str]] = {
    "/train_total_loss": ("step", "loss"),
    "/train_fraction_of_correct_next_step_preds": ("step", "token_accuracy"),
    "/train_num_predictions": ("step", "num_predictions"),
    "/train_learning_rate": ("step", "learning_rate"),
    "/eval_total_loss": ("eval", "loss"),
    "/eval_fraction_of_correct_next_step_preds": ("eval", "token_accuracy"),
    "/eval_num_predictions": ("eval", "num_predictions"),
}
# Google's page on open models names none; a run of others reported these, by the names of the trainer that it uses.
GOOGLE_TAGS: dict[str, tuple[str, str]] = {
    "loss": ("step", "loss"),
    "mean_token_accuracy": ("step", "token_accuracy"),
    "num_input_tokens_seen": ("step", "num_predictions"),
    "learning_rate": ("step", "learning_rate"),
    "eval_loss": ("eval", "loss"),
    "eval_mean_token_accuracy": ("eval", "token_accuracy"),
    "perplexity": ("eval", PERPLEXITY),
}


@dataclass
class EventFile:
    """Follows the file: every call gives what was added; an unfinished last line waits for its end."""

    path: Path
    offset: int = 0
    seen: set[str] = field(default_factory=set)

    def new(self) -> list[Json]:
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self.offset += len(whole)
        events = list(_parse_lines(whole.splitlines()))
        self.seen.update(str(event.get("event")) for event in events)
        return events


@dataclass(frozen=True)
class Point:
    step: int
    time: float
    value: float


def points(path: Path, tag: str) -> list[Point]:
    """In order of steps; a step that a resumed training repeated counts once, as it was last."""
    kind, name = (GOOGLE_TAGS if tag in GOOGLE_TAGS else TAGS)[tag]
    field = "loss" if name == PERPLEXITY else name
    by_step: dict[int, Point] = {}
    for event in EventFile(path).new():
        if event.get("event") == kind and event.get(field) is not None:
            step, value = int(event["step"]), float(event[field])
            shown = math.exp(min(value, MAX_EXPONENT)) if name == PERPLEXITY else value
            by_step[step] = Point(step, float(event["time"]), shown)
    return [by_step[step] for step in sorted(by_step)]


def _parse_lines(lines: Iterable[bytes]) -> Iterable[Json]:
    """A line that a killed engine tore is skipped: the resumed one writes its own."""
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event
