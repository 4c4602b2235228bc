import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self, TypeVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import Case, Count, OuterRef, Q, Subquery, Value, When
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.states import TUNED, TUNING_TERMINAL, UNSENT, TuningState

from .dataset import Dataset
from .fields.deferred_text import DeferredJSONField, DeferredTextField
from .remote import STRIKES_ALLOWED, PaidResource, RemoteQuerySet
from .runs.container import InContainer
from .runs.deployment import JoinsEndpoint
from .runs.results import FoundResults
from .runs.settings import AdvancedSettings
from .runs.sweep import InSweep

POINTS_SHOWN = 1000
T = TypeVar("T")
LINE = (
    "display_name", "location", "phase", "error_message", "notice", "created_at", "started_at", "ended_at", "state",
    "status_group", "base_model", "tuning_mode", "epochs", "total_steps", "step", "epoch", "train_loss", "loss_curve",
    "duration", "visibility", "training_machine", "cancel_requested_at", "next_check_at", "prepared_at", "strikes",
)  # fmt: skip


class StatusGroup(models.IntegerChoices):
    """What a list tells apart, in the order in which it is of interest."""

    RUNNING = 1, _("Running")
    QUEUED = 2, _("Queued")
    FAILED = 3, _("Failed")
    SUCCEEDED = 4, _("Succeeded")
    CANCELLED = 5, _("Cancelled")


GROUPS = {
    StatusGroup.RUNNING: (TuningState.CANCELLING, TuningState.PAUSED, TuningState.RUNNING),
    StatusGroup.QUEUED: (TuningState.PENDING, TuningState.QUEUED),
    StatusGroup.FAILED: (TuningState.EXPIRED, TuningState.FAILED),
    StatusGroup.SUCCEEDED: (TuningState.PARTIALLY_SUCCEEDED, TuningState.SUCCEEDED),
    StatusGroup.CANCELLED: (TuningState.CANCELLED,),
}
FILTERED = ("state", "display_name", "base_model", "ended_at", "visibility")


class Visibility(models.IntegerChoices):
    """To the owner of a job. The row of a deleted one stays: see jobs.services.tuning.removal."""

    LISTED = 0, _("In the list")
    ARCHIVED = 1, _("Archived")
    DELETED = 2, _("Deleted")


# In an order that people can change, until Vertex AI has it.
WAITS_TO_BE_SENT = Q(
    phase__in=UNSENT, prepared_at__isnull=False, strikes__lt=STRIKES_ALLOWED, cancel_requested_at__isnull=True,
    next_check_at__isnull=False,
)  # fmt: skip


class TuningMode(models.TextChoices):
    PEFT_ADAPTER = "PEFT_ADAPTER", _("LoRA adapter")
    FULL = "FULL", _("Full fine-tuning")


class DraftQuerySet(models.QuerySet["TuningDraft"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(owner_id=user.pk)

    def open(self) -> Self:
        return self.filter(submitted_at__isnull=True)


class TuningDraft(models.Model):
    """The five steps as typed so far. Its id becomes the job's id, so a form sent twice is one job.

    `data` maps a step (`name`, `base-model`, `output`, `training`, `deployment`) to that form's raw values, and
    `origin` to where the values came from: a job or a file. `output_check` is what the worker found at the output
    folder: {"uri", "asked_at"}, then also "checked_at" with either "problem" and "is_empty" or "unknown", a sentence.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    data = models.JSONField(default=dict)
    output_check = DeferredJSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    submitted_at = models.DateTimeField(null=True, blank=True)

    objects = DraftQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at"]


class TuningJobQuerySet(RemoteQuerySet):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Also those that are archived, which a list leaves out by `listed`."""
        return super().visible_to(user).filter(visibility__lt=Visibility.DELETED)

    def listed(self) -> Self:
        return self.filter(visibility=Visibility.LISTED)

    def live(self) -> Self:
        """By the group, whose index has them next to each other."""
        return self.filter(status_group__lte=StatusGroup.QUEUED)

    def terminal(self) -> Self:
        return self.filter(state__in=TUNING_TERMINAL)

    def ended_since(self, moment: datetime) -> Self:
        """Without the cancelled. SQLite takes a partial index when it reads the condition of it in the query."""
        groups = (StatusGroup.FAILED, StatusGroup.SUCCEEDED)
        return self.filter(status_group__in=groups, status_group__gte=StatusGroup.FAILED, ended_at__gte=moment)

    def with_tuned_model(self) -> Self:
        """Those that left a model behind."""
        return self.filter(state__in=TUNED)

    def with_version(self) -> Self:
        """`version`: the how-manieth tuned model of its owner with this name it is."""
        same = TuningJob.objects.with_tuned_model().filter(
            owner=OuterRef("owner"), display_name=OuterRef("display_name"), created_at__lte=OuterRef("created_at")
        )
        return self.annotate(
            version=Subquery(same.order_by().values("display_name").annotate(n=Count("pk")).values("n"))
        )

    def rows(self) -> Self:
        """Without what only the job's own page shows; a log alone may be longer than a hundred rows."""
        return self.defer("log_text", "data_stats", "checkpoints", "description", "labels", "estimate", "status_group")

    def lines(self) -> Self:
        """With what a line of a list shows and no more: a third of the columns, of which a page reads fifty times."""
        return self.only(*LINE)


class TuningJob(InContainer, AdvancedSettings, JoinsEndpoint, InSweep, FoundResults, PaidResource):
    state = models.CharField(max_length=20, choices=TuningState, default=TuningState.QUEUED)
    status_group = models.GeneratedField(
        expression=Case(
            *(
                When(state__in=[str(state) for state in states], then=Value(int(group)))
                for group, states in GROUPS.items()
            ),
            default=Value(int(StatusGroup.RUNNING)),
        ),
        output_field=models.PositiveSmallIntegerField(),
        db_persist=True,
    )
    # Lower goes first; only among jobs that are not sent yet.
    queue_rank = models.IntegerField(default=0)
    quota_refused_at = models.DateTimeField(null=True, blank=True)
    prepared_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancel_sent_at = models.DateTimeField(null=True, blank=True)
    base_model = models.CharField(max_length=200)
    output_uri = models.CharField(max_length=1024)
    # False of a job that was given the folder of an earlier one, before each had to have its own.
    owns_output = models.BooleanField(default=True, editable=False)
    # None only of a deleted job, so that its data can be deleted, too; no page shows one.
    dataset: "models.ForeignKey[Dataset, Dataset]" = models.ForeignKey(  # type: ignore[misc]
        Dataset, on_delete=models.PROTECT, related_name="jobs", null=True
    )
    validation_dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    epochs = models.PositiveIntegerField()
    learning_rate = models.FloatField()
    tuning_mode = models.CharField(max_length=16, choices=TuningMode, default=TuningMode.PEFT_ADAPTER)
    adapter_size = models.PositiveIntegerField(null=True, blank=True)
    batch_size = models.PositiveIntegerField(null=True, blank=True)
    export_last_checkpoint_only = models.BooleanField(default=False)
    description = models.TextField(blank=True)
    accepts_licence = models.BooleanField(default=False)
    auto_deploy = models.BooleanField(default=False)
    endpoint_display_name = models.CharField(max_length=128, blank=True)
    machine_type = models.CharField(max_length=64, blank=True)
    endpoint_lease_hours = models.PositiveIntegerField(null=True, blank=True)
    endpoint_min_replicas = models.PositiveSmallIntegerField(default=1)
    endpoint_max_replicas = models.PositiveSmallIntegerField(default=1)
    labels = models.JSONField(default=dict, blank=True)
    # A folder of Cloud Storage with an earlier tuning of `base_model`, which this one continues.
    custom_base_model = models.CharField(max_length=1024, blank=True)
    # What was reckoned before the start: see jobs.services.costs.estimates.
    estimate = models.JSONField(default=dict, blank=True)

    total_steps = models.PositiveIntegerField(null=True, blank=True)
    step = models.PositiveIntegerField(default=0)
    epoch = models.FloatField(default=0)
    train_loss = models.FloatField(null=True, blank=True)
    eval_loss = models.FloatField(null=True, blank=True)
    first_step_at = models.DateTimeField(null=True, blank=True)
    last_step_at = models.DateTimeField(null=True, blank=True)
    # The field of the request that it failed by, where the console itself knows.
    error_field = models.CharField(max_length=40, blank=True)
    data_stats = models.JSONField(default=dict, blank=True)
    checkpoints = models.JSONField(default=list, blank=True)
    # The checkpoint that a deployment takes; empty: the last one.
    default_checkpoint = models.CharField(max_length=40, blank=True)
    # Some training losses in step order, for a picture of a few pixels.
    loss_curve = models.JSONField(default=list, blank=True)
    # Seconds from the start to the end, kept to sort by; None before both are known.
    duration = models.FloatField(null=True, blank=True, editable=False)
    visibility = models.PositiveSmallIntegerField(choices=Visibility, default=Visibility.LISTED)
    # What the worker still has to delete of a deleted job.
    removes_files = models.BooleanField(default=False)
    removes_model = models.BooleanField(default=False)
    experiment = models.CharField(max_length=512, blank=True)
    tuned_model = models.CharField(max_length=512, blank=True)

    objects = TuningJobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        # An order that is filtered in carries what is filtered by: what does not fit is passed over in the index.
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id", *FILTERED], name="tuning_by_time"),
            models.Index(fields=["owner", "status_group", "-created_at", "-id", *FILTERED], name="tuning_by_status"),
            models.Index(
                fields=["owner", "display_name", "-created_at", "-id", "state", "visibility"], name="tuning_by_name"
            ),
            models.Index(fields=["owner", "base_model", "-created_at", "-id"], name="tuning_by_base"),
            models.Index(fields=["owner", "duration", "-created_at", "-id"], name="tuning_by_duration"),
            models.Index(fields=["owner", "train_loss", "-created_at", "-id"], name="tuning_by_loss"),
            models.Index(
                fields=["owner", "status_group", "ended_at", "visibility"],
                name="tuning_ended",
                condition=Q(status_group__gte=StatusGroup.FAILED),
            ),
            models.Index(fields=["output_uri"], name="tuning_by_output"),
            models.Index(fields=["state"], name="tuning_by_state"),
            models.Index(fields=["next_check_at"], name="tuning_due", condition=Q(next_check_at__isnull=False)),
        ]
        constraints = [
            models.UniqueConstraint(fields=["output_uri"], condition=Q(owns_output=True), name="one_job_an_output"),
        ]

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **options: Any) -> None:
        if self.started_at and self.ended_at:
            self.duration = (self.ended_at - self.started_at).total_seconds()
            update_fields = None if update_fields is None else {*update_fields, "duration"}
        super().save(*args, update_fields=update_fields, **options)

    @property
    def waits_to_be_sent(self) -> bool:
        """As WAITS_TO_BE_SENT."""
        is_prepared = self.prepared_at is not None and self.next_check_at is not None
        is_wanted = self.cancel_requested_at is None and self.strikes < STRIKES_ALLOWED
        return self.phase in UNSENT and is_prepared and is_wanted

    @property
    def is_tuned(self) -> bool:
        """It left a model behind."""
        return self.state in TUNED

    @property
    def last_checkpoint(self) -> str:
        """The id of the last one, which is exported as a whole model; empty before there is one."""
        last = max(self.checkpoints, key=lambda one: int(one["step"]), default=None)
        return last["checkpoint_id"] if last else ""

    def is_servable(self, checkpoint: str) -> bool:
        """Whatever became of the job: an adapter was found in its folder, as the server that wrote it serves it."""
        found = (one for one in self.checkpoints if one["checkpoint_id"] == checkpoint)
        return any(one.get("is_servable", False) for one in found)

    @property
    def is_archived(self) -> bool:
        return self.visibility == Visibility.ARCHIVED

    @property
    def is_deleted(self) -> bool:
        return self.visibility == Visibility.DELETED

    @property
    def is_terminal(self) -> bool:
        return self.state in TUNING_TERMINAL

    @property
    def fraction_done(self) -> float | None:
        """0–1, or None while the number of steps is not known."""
        return min(self.step / self.total_steps, 1.0) if self.total_steps else None

    @property
    def seconds_left(self) -> float | None:
        """Training time left at the pace so far; None until two steps are known."""
        if self.state != TuningState.RUNNING or not (self.total_steps and self.first_step_at and self.last_step_at):
            return None
        if self.step < 2:
            return None
        pace = (self.last_step_at - self.first_step_at).total_seconds() / (self.step - 1)
        return pace * max(self.total_steps - self.step, 0)


class Metric(models.Model):
    """One point of a TensorBoard series of a job; `tag` as Vertex AI names it, such as `/train_total_loss`."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(TuningJob, on_delete=models.CASCADE, related_name="metrics")
    tag = models.CharField(max_length=100)
    step = models.PositiveIntegerField()
    value = models.FloatField()
    wall_time = models.DateTimeField()

    class Meta:
        ordering = ["tag", "step"]
        constraints = [models.UniqueConstraint(fields=["job", "tag", "step"], name="one_point_a_step")]


class EventLevel(models.TextChoices):
    INFO = "INFO", _("Info")
    WARNING = "WARNING", _("Warning")
    ERROR = "ERROR", _("Error")


class JobEvent(models.Model):
    """What the console did or saw, in sentences: the job's own log beside the training log."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(TuningJob, on_delete=models.CASCADE, related_name="events")
    level = models.CharField(max_length=8, choices=EventLevel, default=EventLevel.INFO)
    message = DeferredTextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]


Series = dict[str, list[tuple[int, float, datetime]]]


def series(jobs: Iterable[TuningJob], tags: Iterable[str]) -> dict[uuid.UUID, Series]:
    """{job: {tag: [(step, value, time)]}} in step order: a thousand points at most of each, the last one among them."""
    found: dict[uuid.UUID, Series] = {job.pk: {} for job in jobs}
    points = Metric.objects.filter(job__in=list(found), tag__in=tags).order_by("job", "tag", "step")
    for job, tag, step, value, at in points.values_list("job", "tag", "step", "value", "wall_time"):
        found[job].setdefault(tag, []).append((step, value, at))
    return {job: {tag: thin_out(curve) for tag, curve in curves.items()} for job, curves in found.items()}


def thin_out(points: list[T], most: int = POINTS_SHOWN) -> list[T]:
    """At even distances, counted from the end."""
    every = -(-len(points) // most) or 1
    return points[::-every][::-1]
