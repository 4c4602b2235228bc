"""The same job as code, for the review of a draft and the page of a job."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs.models import TuningJob
from jobs.services.tuning import code
from jobs.services.tuning.spec import TuningSpec


@dataclass(frozen=True)
class Code:
    title: str | Promise
    text: str


_CUSTOM = _("Python, with google-cloud-aiplatform")


def code_of(job: TuningJob | TuningSpec) -> list[Code]:
    return [
        Code(_CUSTOM if job.training_machine else _("Python, with google-genai"), code.python(job)),
        Code(_("Shell, with curl"), code.curl(job)),
    ]
