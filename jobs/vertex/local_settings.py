"""Settings of a training that Vertex AI's API has no field for. The local server takes them as labels of the tuning
job, which Google would store and never read; so a request with them is one that Google's clients can send.

A label has neither a dot nor a sign: 0.015 is 15e-3.
"""

from collections.abc import Mapping
from decimal import Decimal

PREFIX = "local-tuning-"
QUANTIZATION = "local-serving-quantization"  # of a deployed model, as a system label


def as_labels(values: Mapping[str, object]) -> dict[str, str]:
    """Those that are set; none of what is None or empty."""
    return {
        f"{PREFIX}{name.replace('_', '-')}": _as_label(value)
        for name, value in values.items()
        if value not in (None, "")
    }


def _as_label(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    _sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    number = "".join(map(str, digits))
    return f"{number}e{exponent}" if exponent else number
