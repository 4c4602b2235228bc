"""The way from an empty console to a first chat."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs.models import Conversation, Dataset, ProbeResult, ServiceState, TuningJob
from jobs.services.health import status


@dataclass(frozen=True)
class SetupStep:
    title: str | Promise
    text: str | Promise
    url: str
    label: str | Promise
    is_done: bool
    is_next: bool = False


def steps_left(user: User) -> list[SetupStep]:
    """All of them, until there is a chat: what a chat needs is there by then."""
    if Conversation.objects.visible_to(user).exists():
        return []
    works = working()
    done = (
        "vertex" in works, "storage" in works, Dataset.objects.visible_to(user).exists(),
        TuningJob.objects.visible_to(user).exists(), False,
    )  # fmt: skip
    following = done.index(False)
    return [
        SetupStep(title, text, reverse(view), label, done[place], place == following)
        for place, (title, text, view, label) in enumerate(STEPS)
    ]


def working() -> set[str]:
    kept, now = ProbeResult.objects.filter(name__in=("vertex", "storage")), timezone.now()
    return {one.name for one in kept if status.load_service(one.name, one, now).state == ServiceState.OK}


STEPS = (
    (_("Connect"), _("The console can reach Vertex AI."), "settings-connection", _("View connection")),
    (_("Bucket"), _("Datasets and results are stored in your bucket."), "settings-connection", _("View connection")),
    (_("Dataset"), _("Upload examples, or use the sample dataset."), "dataset-list", _("Go to Datasets")),
    (
        _("Tune"),
        _("Follow five steps. The tuned model can be deployed automatically."),
        "tuning-new",
        _("Create tuned model"),
    ),
    (_("Chat"), _("Chat with your tuned model."), "chat", _("Open chat")),
)
