import uuid
from typing import Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .fields.deferred_text import DeferredJSONField

ROW_LIMITS = tuple(2**power for power in range(9, 16))


class DatasetFormat(models.TextChoices):
    PROMPT = "prompt", _("prompt / completion")
    MESSAGES = "messages", _("messages")
    CONTENTS = "contents", _("Gemini contents")
    MIXED = "mixed", _("several formats")


class DatasetShape(models.TextChoices):
    """What a file is that has to be converted before it can be used."""

    SHAREGPT = "sharegpt", "ShareGPT"
    ALPACA = "alpaca", "Alpaca"
    TABLE = "table", _("CSV or TSV")
    LIST = "list", _("JSON in a list")


class DatasetPart(models.TextChoices):
    TRAIN = "train", _("train")
    VALIDATION = "validation", _("validation")


class DatasetQuerySet(models.QuerySet["Dataset"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(owner_id=user.pk)

    def latest_versions(self) -> Self:
        return self.filter(is_latest=True)

    def rows(self) -> Self:
        """Without what only a page of its own shows."""
        return self.defer("problems", "preview", "stats", "notes", "changes")

    def usable(self) -> Self:
        return self.filter(valid_rows__gt=0, invalid_rows=0)


class Dataset(models.Model):
    """A validated JSONL file, kept by `jobs.files.store` as `stored_name`; jobs read a copy in `gs://`.

    `token_estimate` is reckoned for one pass over the rows, with the marks of Gemma's chat template. `token_counts` has
    what the tokenizer of a base model counts: {model: {"asked_at", "tries", "tokens", "rows"}}, `rows` those that were
    counted.
    `problems` holds the first 50 as {"line", "field", "problem", "remedy", "snippet"}; `preview` the first rows as
    {"line", "turns": [{"role", "text"}]}; `notes` sentences about what was tolerated (a byte order mark, blank lines).
    `rows_over` counts, by the same estimate, the rows longer than each of ROW_LIMITS tokens; zeros are left out.
    `image_count` is how many images the rows have, each as often as it is in one; they count in `token_estimate`.
    `stats` has the figures of the rows: {"median", "p95", "longest", "longest_line"} in tokens, {"answer_share"} in
    percent and {"bins"}, [from, to, rows] with the lower end left out; {"tool_rows"} where some use tools;
    {"with_template"}: the tokens are reckoned as those of `token_estimate`. For a file with a `shape`, {"rows",
    "convertible"}. It is empty for what was checked before there were figures.
    Versions of one name share `family`; `changes` is {"added", "removed", "same"} rows since the version
    before, and {"changed"} where that is known.
    `made_from` is what it was converted or split from, `recipe` how; the parts of a split are each other's `sibling`.
    `uploaded_uri` is where the copy in `gs://` lies; the bytes never change, so one upload serves every job. It is
    `source_uri`, the object that the dataset was read from, while jobs may read that one, in its `source_version`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="datasets")
    name = models.CharField(max_length=128)
    description = models.CharField(max_length=1000, blank=True)
    family = models.UUIDField(default=uuid.uuid4, editable=False)
    version = models.PositiveIntegerField(default=1)
    is_latest = models.BooleanField(default=True)
    changes = models.JSONField(default=dict)
    made_from = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="made")
    sibling = models.OneToOneField("self", on_delete=models.SET_NULL, null=True, related_name="+")
    part = models.CharField(max_length=10, choices=DatasetPart, blank=True)
    recipe = models.JSONField(default=dict)
    file_name = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64)
    format = models.CharField(max_length=12, choices=DatasetFormat, blank=True)
    shape = models.CharField(max_length=12, choices=DatasetShape, blank=True)
    byte_size = models.PositiveBigIntegerField()
    valid_rows = models.PositiveIntegerField(default=0)
    invalid_rows = models.PositiveIntegerField(default=0)
    character_count = models.PositiveBigIntegerField(default=0)
    token_estimate = models.PositiveBigIntegerField(default=0)
    image_count = models.PositiveIntegerField(default=0)
    token_counts = models.JSONField(default=dict)
    rows_over = models.JSONField(default=dict)
    stats = models.JSONField(default=dict)
    problems = DeferredJSONField(default=list)
    preview = models.JSONField(default=list)
    notes = DeferredJSONField(default=list)
    uploaded_uri = models.CharField(max_length=1024, blank=True)
    source_uri = models.CharField(max_length=1024, blank=True)
    source_version = models.CharField(max_length=64, blank=True)
    is_sample = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = DatasetQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["owner", "-created_at"]),
            models.Index(fields=["owner", "sha256"], name="dataset_same_file"),
        ]
        constraints = [models.UniqueConstraint(fields=["family", "version"], name="one_dataset_a_version")]

    def __str__(self) -> str:
        return self.name

    @property
    def stored_name(self) -> str:
        return f"datasets/{self.pk}.{'source' if self.shape else 'jsonl'}"

    @property
    def is_usable(self) -> bool:
        return self.valid_rows > 0 and self.invalid_rows == 0

    @property
    def is_read_at_source(self) -> bool:
        return bool(self.source_uri) and self.uploaded_uri == self.source_uri

    def has_unknown_tools(self, base_model: str) -> bool:
        """Its rows use tools, and the server that trains said that the model's chat template has no place for them."""
        return bool(self.token_counts.get(base_model, {}).get("no_tools"))

    @property
    def row_count(self) -> int:
        """With and without problems."""
        return self.valid_rows + self.invalid_rows

    @property
    def split_of(self) -> "Dataset | None":
        return self.made_from if self.part else None

    def rows_over_limit(self, tokens: int) -> int:
        """For a limit between two of ROW_LIMITS, the rows over the larger: at least so many are too long."""
        limit = next((limit for limit in ROW_LIMITS if limit >= tokens), 0)
        return int(self.rows_over.get(str(limit), 0))


class DatasetImage(models.Model):
    """An image that came with an upload and that rows of the dataset name. `file` is its SHA-256 with an ending, and in
    the file store as `dataset-images/<owner>/<file>`; datasets of one person have it in common."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="images")
    file = models.CharField(max_length=70)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["dataset", "file"], name="one_image_a_dataset")]
        indexes = [models.Index(fields=["file"], name="dataset_image_file")]

    def __str__(self) -> str:
        return self.file
