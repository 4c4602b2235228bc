import uuid
from pathlib import Path
from typing import Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

ROW_LIMITS = tuple(2**power for power in range(9, 16))


class DatasetFormat(models.TextChoices):
    PROMPT = "prompt", _("prompt / completion")
    MESSAGES = "messages", _("messages")
    CONTENTS = "contents", _("Gemini contents")
    MIXED = "mixed", _("several formats")


class DatasetQuerySet(models.QuerySet["Dataset"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(owner_id=user.pk)

    def usable(self) -> Self:
        return self.filter(valid_rows__gt=0, invalid_rows=0)


class Dataset(models.Model):
    """A validated JSONL file. `path` is private to the server; jobs read a copy in `gs://`.

    `token_estimate` counts one pass over the rows, by characters (0.231 tokens a character for Gemma 3).
    `problems` holds the first 50 as {"line", "field", "problem", "remedy", "snippet"}; `preview` the first rows as
    {"line", "turns": [{"role", "text"}]}; `notes` sentences about what was tolerated (a byte order mark, blank lines).
    `rows_over` counts, by the same estimate, the rows longer than each of ROW_LIMITS tokens; zeros are left out.
    `uploaded_uri` is where the copy in `gs://` lies; the bytes never change, so one upload serves every job.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="datasets")
    name = models.CharField(max_length=128)
    file_name = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64)
    format = models.CharField(max_length=12, choices=DatasetFormat, blank=True)
    byte_size = models.PositiveBigIntegerField()
    valid_rows = models.PositiveIntegerField(default=0)
    invalid_rows = models.PositiveIntegerField(default=0)
    character_count = models.PositiveBigIntegerField(default=0)
    token_estimate = models.PositiveBigIntegerField(default=0)
    rows_over = models.JSONField(default=dict)
    problems = models.JSONField(default=list)
    preview = models.JSONField(default=list)
    notes = models.JSONField(default=list)
    uploaded_uri = models.CharField(max_length=1024, blank=True)
    is_sample = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = DatasetQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["owner", "-created_at"])]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        return Path(settings.DATA_DIR) / "datasets" / f"{self.pk}.jsonl"

    @property
    def is_usable(self) -> bool:
        return self.valid_rows > 0 and self.invalid_rows == 0

    def rows_over_limit(self, tokens: int) -> int:
        """For a limit between two of ROW_LIMITS, the rows over the larger: at least so many are too long."""
        limit = next((limit for limit in ROW_LIMITS if limit >= tokens), 0)
        return int(self.rows_over.get(str(limit), 0))
