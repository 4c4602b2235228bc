"""Rows of a dataset that were edited and are not in a version yet, long work on the rows of a dataset, and files of
Cloud Storage that are becoming datasets."""

import uuid
from typing import Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .dataset import Dataset, DatasetPart
from .runs.leased_work import LeasedWork, LeasedWorkQuerySet


class RowEdit(models.Model):
    """One row as it will be in the next version. `line` is where it stands in the file; None for a row that is added.
    An empty `text` takes the row out."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="row_edits")
    line = models.PositiveIntegerField(null=True)
    text = models.TextField(blank=True)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = [models.F("line").asc(nulls_last=True), "pk"]
        constraints = [models.UniqueConstraint(fields=["dataset", "line"], name="one_edit_a_row")]

    @property
    def is_added(self) -> bool:
        return self.line is None

    @property
    def is_deletion(self) -> bool:
        return not self.text


class WorkKind(models.TextChoices):
    EDITS = "edits", _("Save the changes")
    BAD_ROWS = "bad-rows", _("Leave out rows with problems")
    SEARCH = "search", _("Find duplicates")
    DUPLICATES = "duplicates", _("Leave out duplicates")
    COMPARE = "compare", _("Compare with the version before")


class WorkState(models.TextChoices):
    WAITING = "WAITING", _("In progress")
    READY = "READY", _("Ready")
    FAILED = "FAILED", _("Failed")


class DatasetWorkQuerySet(LeasedWorkQuerySet["DatasetWork"]):
    pass


class DatasetWork(LeasedWork):
    """The latest of each kind. `options` are what was asked for: {"latest": the newest version that the person saw},
    {"similarity": percent, 0 for equal rows only}, {"against": the other version}.

    `result` of a search: {"groups": [[[line, percent], …], …], "rows", "is_near", "is_cut"}; of a comparison:
    {"changed": [[line before, line], …], "added", "removed": [line, …], "same", "is_moved", "is_cut"}. `choices` are
    the rows to keep, by the number of a group: {"3": line, or 0 for all of them}; the first where nothing is said.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="works")
    kind = models.CharField(max_length=10, choices=WorkKind)
    state = models.CharField(max_length=8, choices=WorkState, default=WorkState.WAITING)
    options = models.JSONField(default=dict)
    result = models.JSONField(default=dict)
    choices = models.JSONField(default=dict)
    made = models.ForeignKey(Dataset, on_delete=models.SET_NULL, null=True, related_name="+")
    tries = models.PositiveSmallIntegerField(default=0)

    objects = DatasetWorkQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["dataset", "kind"], name="one_work_a_kind")]
        indexes = [models.Index(fields=["created_at"], name="dataset_work_due", condition=Q(state="WAITING"))]


class ImportState(models.TextChoices):
    WAITING = "WAITING", _("In progress")
    READY = "READY", _("Ready")
    FAILED = "FAILED", _("Failed")
    CANCELLED = "CANCELLED", _("Cancelled")


class DatasetImportQuerySet(LeasedWorkQuerySet["DatasetImport"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(owner_id=user.pk)


class DatasetImport(LeasedWork):
    """A file of Cloud Storage that a worker reads, checks and keeps as a dataset; the latest of each address.

    `tries` also tells one run from the next, and `created_at` one that was asked for again: who finds another value
    there has lost the row. `total_bytes` is 0 until the worker has found the object. `draft` is the id of the tuning
    draft whose `part` the dataset is for.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    uri = models.CharField(max_length=1024)
    name = models.CharField(max_length=128, blank=True)
    draft = models.UUIDField(null=True)
    part = models.CharField(max_length=10, choices=DatasetPart, blank=True)
    state = models.CharField(max_length=9, choices=ImportState, default=ImportState.WAITING)
    dataset = models.ForeignKey(Dataset, on_delete=models.SET_NULL, null=True, related_name="+")
    tries = models.PositiveSmallIntegerField(default=0)
    rows = models.PositiveIntegerField(default=0)

    objects = DatasetImportQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["owner", "uri"], name="one_import_an_address")]
        indexes = [models.Index(fields=["created_at"], name="dataset_import_due", condition=Q(state="WAITING"))]

    def __str__(self) -> str:
        return self.uri
