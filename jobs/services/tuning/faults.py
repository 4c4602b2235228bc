"""Which field of its request a job failed by, as far as that can be told."""

import re

from jobs.models import TuningJob
from jobs.states import TUNING_UNSUCCESSFUL

from . import observe

# As messages of Vertex AI call the fields; the first that is found counts.
NAMES = {
    "output_uri": r"output_?uri|output (directory|folder)",
    "custom_base_model": r"custom_?base_?model|model to continue",
    "validation_dataset": r"validation[_ ]?data",
    "adapter_size": r"adapter[_ ]?size",
    "learning_rate": r"learning[_ ]?rate",
    "epochs": r"epoch_?count",
    "batch_size": r"batch[_ ]?size",
    "dataset": r"dataset|training[_ ]data",
    "base_model": r"base[_ ]?model",
}


def find_field(job: TuningJob) -> str:
    """As `TuningSpec` calls it; empty when nothing tells."""
    if job.state not in TUNING_UNSUCCESSFUL or not job.error_message:
        return ""
    if job.error_field:
        return job.error_field
    message = job.error_message.removesuffix(observe.remedy(job.error_code))
    found = (name for name, pattern in NAMES.items() if re.search(pattern, message, re.IGNORECASE))
    return next(found, "")
