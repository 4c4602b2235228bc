"""Small charts as the points of an SVG, drawn on the server: there is nothing to load."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

Values = Sequence[float | None]


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float


def bars(values: Values, top: float, *, width: float, height: float, gap: float = 1) -> list[Bar]:
    """A bar for each value above nothing, at least one unit high; `top` is the value that fills the height."""
    step = width / max(len(values), 1)
    return [
        Bar(round(place * step + gap / 2, 2), round(height - tall, 2), round(step - gap, 2), round(tall, 2))
        for place, value in enumerate(values)
        if value and (tall := max(height * value / top, 1))
    ]


def lines(values: Values, top: float, *, width: float, height: float) -> list[str]:
    """The points of a polyline for each run of values without a gap. A single value makes a short dash."""
    step = width / max(len(values), 1)
    placed = [(place, value) for place, value in enumerate(values) if value is not None]
    return [_points(run, top, step, height) for run in _runs(placed)]


def _runs(placed: Iterable[tuple[int, float]]) -> list[list[tuple[int, float]]]:
    numbered = enumerate(placed)
    return [[point for _, point in run] for _, run in groupby(numbered, key=lambda each: each[1][0] - each[0])]


def _points(run: list[tuple[int, float]], top: float, step: float, height: float) -> str:
    corners = [((place + 0.5) * step, height - height * min(value / top, 1)) for place, value in run]
    if len(corners) == 1:
        x, y = corners[0]
        corners = [(x - step / 4, y), (x + step / 4, y)]
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in corners)
