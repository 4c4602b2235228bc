"""Which checkpoints lie in the output folder of a job that ended without a model: Vertex AI lists only those of a
success."""

from typing import Any

from jobs.models import ModelForm, TuningJob, TuningMode
from jobs.vertex.errors import NotFound

from .results import Results, find_results, place_checkpoints

MOST = 20


def find_checkpoints(job: TuningJob) -> list[dict[str, Any]]:
    """As `TuningJob.checkpoints`, without those that are not whole. Raises VertexError."""
    wanted = ModelForm.ADAPTER if job.tuning_mode == TuningMode.PEFT_ADAPTER else ModelForm.WHOLE
    try:
        found = find_results(job).checkpoints
    except NotFound:
        return []
    whole = tuple(place for place in found if place.form == wanted)[-MOST:]
    return place_checkpoints(job, [], Results(None, whole))
