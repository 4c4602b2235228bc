"""What a person is told about the end of long work, and what of it also goes out by e-mail or webhook."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db import models
from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.states import ENDPOINT_TRANSIENT

from .deployed_model import DeployedModel
from .endpoint import Endpoint
from .fields import notification_words as words
from .fields.deferred_text import DeferredJSONField
from .fields.notification_words import Kind
from .runs.model_import import ModelImport
from .tuning import TuningJob

MAX_COUNTED = 100


class Subject(models.TextChoices):
    TUNING_JOB = "tuning_job", _("Tuning jobs")
    ENDPOINT = "endpoint", _("Endpoints")
    DATASET = "dataset", _("Datasets")
    MODEL_IMPORT = "model_import", _("Model imports")
    TEST = "test", _("Tests")


class Way(models.TextChoices):
    EMAIL = "email", _("Email")
    WEBHOOK = "webhook", _("Webhook")


class WebhookFormat(models.TextChoices):
    """What a webhook's receiver reads."""

    JSON = "json", _("Generic JSON")
    SLACK = "slack", "Slack"
    TEAMS = "teams", "Microsoft Teams"
    DISCORD = "discord", "Discord"


class DeliveryState(models.TextChoices):
    WAITING = "WAITING", _("Waiting")
    DELIVERED = "DELIVERED", _("Delivered")
    FAILED = "FAILED", _("Failed")


class Problem(models.TextChoices):
    """Why a try failed; `detail` of the delivery has what varies, such as the status of the answer."""

    ANSWER = "answer", _("The receiver answered with status %s.")
    REDIRECT = "redirect", _("The receiver sent a redirect (%s). Redirects aren't followed. Enter the final address.")
    GONE = "gone", _("The receiver reported that the address is permanently gone (410).")
    TIMEOUT = "timeout", _("No answer within %s seconds.")
    UNREACHABLE = "unreachable", _("The receiver could not be reached.")
    NO_SUCH_NAME = "name", _("Host not found: %s.")
    NOT_PUBLIC = "private", _("%s isn't a public internet address, so nothing was sent.")
    MAIL_REFUSED = "mail", _("The mail server refused it (%s).")
    NOT_SET_UP = "off", _("This channel was turned off before the notification was sent.")
    INTERRUPTED = "interrupted", _("The console stopped during the delivery.")
    UNFORESEEN = "error", _("Internal error (%s). For details, see the worker's log.")


class NotificationQuerySet(models.QuerySet["Notification"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(owner_id=user.pk)

    def unread(self) -> Self:
        return self.filter(read_at__isnull=True)


class Notification(models.Model):
    """One end of one thing. `facts` are what its sentence is made of in the reader's language: name, state, reason …

    `end` tells the ends of one thing apart, so that whoever sees the same end again makes no second row.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=24, choices=Kind)
    subject = models.CharField(max_length=16, choices=Subject)
    subject_id = models.UUIDField()
    end = models.CharField(max_length=64)
    facts = DeferredJSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    read_at = models.DateTimeField(null=True, blank=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "subject", "subject_id", "end"], name="one_notification_an_end")
        ]
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="notification_list"),
            models.Index(
                fields=["owner", "-created_at", "-id"], name="notification_unread", condition=Q(read_at__isnull=True)
            ),
            models.Index(fields=["created_at"], name="notification_age"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        """A sentence in the language of whoever reads it now."""
        return words.title(self.kind, self.facts)

    @property
    def detail(self) -> str:
        """Why, or what to do next; may be empty."""
        return words.detail(self.kind, self.facts)


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(notification__owner_id=user.pk)

    def due(self, now: datetime) -> Self:
        free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
        return self.filter(free, state=DeliveryState.WAITING, next_try_at__lte=now).order_by("next_try_at")


class Delivery(models.Model):
    """One notification on its way out. The row is the queue; its id is what the receiver can tell a repetition by."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="deliveries")
    way = models.CharField(max_length=8, choices=Way)
    state = models.CharField(max_length=10, choices=DeliveryState, default=DeliveryState.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=12, choices=Problem, blank=True)
    detail = models.CharField(max_length=200, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["way"]
        constraints = [models.UniqueConstraint(fields=["notification", "way"], name="one_delivery_a_way")]
        indexes = [models.Index(fields=["next_try_at"], name="delivery_due", condition=Q(next_try_at__isnull=False))]

    @property
    def problem_words(self) -> str:
        words = str(Problem(self.problem).label) if self.problem else ""
        return words % self.detail if "%s" in words else words


class NotificationChoice(models.Model):
    """Where a person wants to be told, and what. `ways` has {kind: [way]}; a kind that is not there has its default.

    The webhook's secret is not here: `webhook_nonce` and the installation's key make it.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="notification_choice"
    )
    email = models.EmailField(blank=True)
    # Whether somebody who reads the mail of that address said that it is theirs. Before, only tests go there.
    email_confirmed = models.BooleanField(default=False)
    webhook_url = models.CharField(max_length=500, blank=True)
    # Empty: by the host of the address.
    webhook_format = models.CharField(max_length=8, choices=WebhookFormat, blank=True)
    webhook_nonce = models.CharField(max_length=64, blank=True)
    ways = models.JSONField(default=dict, blank=True)

    def is_ticked(self, kind: str, way: str) -> bool:
        chosen: list[Any] = self.ways.get(kind, list(Way.values) if kind in WANTED_AT_FIRST else [])
        return way in chosen

    def reaches(self, way: str) -> bool:
        """Whether there is somewhere to send to."""
        return bool(self.email and settings.EMAIL_HOST if way == Way.EMAIL else self.webhook_url)

    def wants(self, kind: str, way: str) -> bool:
        return self.reaches(way) and self.is_ticked(kind, way) and (way != Way.EMAIL or self.email_confirmed)


WANTED_AT_FIRST = frozenset(
    {
        Kind.TUNING_SUCCEEDED,
        Kind.TUNING_FAILED,
        Kind.TUNING_UNDECIDED,
        Kind.ENDPOINT_READY,
        Kind.ENDPOINT_FAILED,
        Kind.ENDPOINT_UNDEPLOYED,
        Kind.ENDPOINT_IDLE,
        Kind.ENDPOINT_ENDING,
        Kind.MODEL_READY,
        Kind.MODEL_FAILED,
        Kind.IMPORT_SUCCEEDED,
        Kind.IMPORT_FAILED,
    }
)


@dataclass(frozen=True)
class Bell:
    """How many are unread, a hundred at most, and whether anything runs whose end will ring."""

    unread: int
    runs: bool


def bell_of(user: AbstractBaseUser | AnonymousUser) -> Bell:
    """One query on indexes, because every page makes it."""
    assert user.pk is not None
    counted, *under_way = _bells().filter(pk=user.pk).first() or (0, False)
    return Bell(min(counted or 0, MAX_COUNTED), any(under_way))


@cache
def _bells() -> "models.QuerySet[User, tuple[Any, ...]]":
    """Everybody's, never asked as it stands: Django takes longer to build such a query than to run it."""
    unread = Notification.objects.filter(owner=OuterRef("pk")).unread().order_by()
    trains = TuningJob.objects.filter(owner=OuterRef("pk")).live()
    deploys = Endpoint.objects.filter(owner=OuterRef("pk"), state__in=ENDPOINT_TRANSIENT)
    adds = DeployedModel.objects.filter(owner=OuterRef("pk")).transient()
    imports = ModelImport.objects.filter(owner=OuterRef("pk")).in_progress()
    count = unread.values("owner").annotate(n=Count("pk")).values("n")
    return User.objects.values_list(Subquery(count), Exists(trains), Exists(deploys), Exists(adds), Exists(imports))
