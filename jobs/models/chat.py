import uuid
from typing import Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.states import MESSAGE_LIVE, MessageState

from .endpoint import Endpoint


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(owner_id=user.pk)


class Conversation(models.Model):
    """`parameters`: temperature, top_p, max_tokens … as sent to chat/completions; absent means the server's default."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    endpoint = models.ForeignKey(Endpoint, on_delete=models.SET_NULL, null=True, related_name="conversations")
    title = models.CharField(max_length=200, blank=True)
    system_instruction = models.TextField(blank=True)
    parameters = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at"]
        indexes = [models.Index(fields=["owner", "-updated_at"])]


class Role(models.TextChoices):
    USER = "user", _("You")
    ASSISTANT = "assistant", _("Model")


class MessageQuerySet(models.QuerySet["Message"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(conversation__owner_id=user.pk)

    def live(self) -> Self:
        return self.filter(state__in=MESSAGE_LIVE)


class Message(models.Model):
    """A turn. For an answer: `parameters` it was asked with, `usage` as the server counted, `timings` in seconds
    (`first_token`, `total`), `html` the rendered, sanitised Markdown. `key` makes a form sent twice one turn."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    ordinal = models.PositiveIntegerField()
    role = models.CharField(max_length=12, choices=Role)
    state = models.CharField(max_length=12, choices=MessageState, default=MessageState.COMPLETE)
    content = models.TextField(blank=True)
    html = models.TextField(blank=True)
    parameters = models.JSONField(default=dict)
    usage = models.JSONField(default=dict)
    timings = models.JSONField(default=dict)
    finish_reason = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["ordinal"]
        indexes = [
            models.Index(fields=["state", "created_at"], name="answers_due"),
            models.Index(fields=["created_at"], name="requests_by_time", condition=models.Q(role="assistant")),
        ]
        constraints = [models.UniqueConstraint(fields=["conversation", "ordinal"], name="one_turn_an_ordinal")]

    @property
    def is_live(self) -> bool:
        return self.state in MESSAGE_LIVE
