"""Settings of a deployment that Google's API has no field for: this server takes them as system labels of the deployed
model, which every client of Google's can send."""

from collections.abc import Mapping

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.models.precision import NAMES, SMALLEST_FIRST

PREFIX = "local-serving-"
QUANTIZATION = f"{PREFIX}quantization"


def read_quantization(labels: Mapping[str, str], field: str) -> str:
    """Empty: as this server chooses. Raises INVALID_ARGUMENT also for a label of this prefix that is not known: nothing
    that was asked for is left out in silence."""
    if unknown := sorted(key for key in labels if key.startswith(PREFIX) and key != QUANTIZATION):
        raise invalid(f"The label {unknown[0]} is no setting of this server, which knows {QUANTIZATION}.", field)
    asked = labels.get(QUANTIZATION, "")
    if asked and asked not in NAMES:
        known = ", ".join(SMALLEST_FIRST)
        raise invalid(f"The label {QUANTIZATION} must be one of {known}, not {asked!r}.", field)
    return asked
