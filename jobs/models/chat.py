import uuid
from typing import Any, Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.states import MESSAGE_CUT_OFF, MESSAGE_LIVE, MessageState

from .endpoint import Endpoint
from .fields.deferred_text import DeferredTextField

LONGEST_ANSWER = 200_000
# Of a turn, what a model is told and what that cost.
SAID = ("conversation", "parent", "role", "state", "content", "has_pictures", "usage", "tools")
# A conversation in which nobody has written anything.
BARE: dict[str, Any] = {"head": None, "title": "", "draft": ""}


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(owner_id=user.pk)

    def for_list(self) -> Self:
        """Without the columns of comparisons and those that were only set up; pinned ones first."""
        return self.filter(comparison=None).exclude(**BARE).order_by("-pinned", "-updated_at")


class ComparisonQuerySet(models.QuerySet["Comparison"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(owner_id=user.pk)


class Comparison(models.Model):
    """Up to four conversations that are asked the same; `blind` hides which model is which until a vote.

    `draft` is what was typed for all of them and not sent yet.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    title = models.CharField(max_length=200, blank=True)
    blind = models.BooleanField(default=False)
    draft = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ComparisonQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at"]


class Conversation(models.Model):
    """`parameters`: temperature, top_p, max_tokens … as sent to chat/completions; absent means the server's default.

    Its messages form a tree: an edited question or another answer is a sibling. `head` is the leaf of the branch shown.
    `draft` is what was typed and not sent yet; `schema_text` is a JSON schema as it was typed, kept while answers have
    another format. What was said before `sent_from` is not sent to the model any more.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    endpoint = models.ForeignKey(Endpoint, on_delete=models.SET_NULL, null=True, related_name="conversations")
    title = models.CharField(max_length=200, blank=True)
    system_instruction = models.TextField(blank=True)
    draft = models.TextField(blank=True)
    parameters = models.JSONField(default=dict)
    schema_text = models.TextField(blank=True, default="")
    head = models.ForeignKey("Message", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    sent_from = models.ForeignKey("Message", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    pinned = models.BooleanField(default=False)
    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, null=True, blank=True, related_name="columns")
    column = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at"]
        indexes = [models.Index(fields=["owner", "-updated_at"])]

    def path(self, leaf: "Message | None" = None) -> "list[Message]":
        """The branch that ends at `leaf` (default: `head`): what was said from its first question on, with pictures."""
        if leaf and leaf.parent_id is None:
            return with_images([leaf])
        turns = {turn.pk: turn for turn in self.messages.only(*SAID)}
        branch: list[Message] = []
        at = leaf.pk if leaf else self.head_id
        while at is not None and at in turns:
            branch.append(turns[at])
            at = turns[at].parent_id
        return with_images(branch[::-1])

    def prompt_turns(self, branch: "list[Message]") -> "list[Message]":
        """What of a branch the model is told."""
        begin = next((at for at, turn in enumerate(branch) if turn.pk == self.sent_from_id), 0)
        return branch[begin:]


class Role(models.TextChoices):
    USER = "user", _("You")
    ASSISTANT = "assistant", _("Model")


class Rating(models.TextChoices):
    GOOD = "good", _("Good answer")
    BAD = "bad", _("Bad answer")


class MessageQuerySet(models.QuerySet["Message"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(conversation__owner_id=user.pk)

    def live(self) -> Self:
        return self.filter(state__in=MESSAGE_LIVE)


class ImageQuerySet(models.QuerySet["Picture"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        return self.filter(owner_id=user.pk)


class Message(models.Model):
    """A turn; `ordinal` counts all of a conversation in the order they were made. For an answer: `parameters` it was
    asked with, `usage` as the server counted, `timings` in seconds (`first_token`, `total`), `html` the rendered,
    sanitised Markdown; `endpoint` that was asked (None for one copied or written by hand, which is no request) and, in
    words that outlive it, `answered_by`; `is_edited`: a person wrote it, or its beginning; `rating`: what they think
    of it. `key` makes a form sent twice one turn. `has_pictures` saves a query where most have none: read them by
    `attachments`. `tools` has the {"calls"} of an answer, or the {"results"} that a person typed for them."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    endpoint = models.ForeignKey(Endpoint, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    answered_by = models.CharField(max_length=300, blank=True)
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="children")
    ordinal = models.PositiveIntegerField()
    role = models.CharField(max_length=12, choices=Role)
    state = models.CharField(max_length=12, choices=MessageState, default=MessageState.COMPLETE)
    content = models.TextField(blank=True)
    has_pictures = models.BooleanField(default=False)
    is_edited = models.BooleanField(default=False)
    rating = models.CharField(max_length=4, choices=Rating, blank=True)
    html = models.TextField(blank=True)
    tools = models.JSONField(default=dict)
    parameters = models.JSONField(default=dict)
    usage = models.JSONField(default=dict)
    timings = models.JSONField(default=dict)
    finish_reason = models.CharField(max_length=40, blank=True)
    error_message = DeferredTextField(blank=True)
    # As the gateway's errors have it; empty when nobody refused.
    error_code = models.CharField(max_length=40, blank=True)
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

    @property
    def attachments(self) -> "list[Picture]":
        return list(self.pictures.all()) if self.has_pictures else []

    @property
    def is_cut_off(self) -> bool:
        """An answer that could be continued: it ended at a limit, or before its end, and has room left."""
        limited = self.state == MessageState.COMPLETE and self.finish_reason == "length"
        has_room = 0 < len(self.content.strip()) < LONGEST_ANSWER
        return self.role == Role.ASSISTANT and has_room and (limited or self.state in MESSAGE_CUT_OFF)


def with_images(turns: list[Message]) -> list[Message]:
    """The same, with those of all read in one query, or in none."""
    models.prefetch_related_objects([turn for turn in turns if turn.has_pictures], "pictures")
    return turns


class Picture(models.Model):
    """An image as the model receives it: re-encoded, without metadata. `message` None until it is sent; so long `box`
    is where it waits: the id of the conversation or comparison, or "new"."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    message = models.ForeignKey(Message, on_delete=models.CASCADE, null=True, blank=True, related_name="pictures")
    box = models.CharField(max_length=36, blank=True)
    position = models.PositiveSmallIntegerField(default=0)
    name = models.CharField(max_length=200)
    alt = models.CharField(max_length=300, blank=True)
    content_type = models.CharField(max_length=20)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ImageQuerySet.as_manager()

    class Meta:
        ordering = ["position", "created_at"]

    @property
    def stored_name(self) -> str:
        """For `jobs.files.store`. By content: the same picture in two messages is one file."""
        return f"pictures/{self.sha256[:2]}/{self.sha256}"


class Vote(models.Model):
    """Which column of a comparison answered best in one round; `winner` None: none was better."""

    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="votes")
    round = models.PositiveIntegerField()
    winner = models.ForeignKey(Conversation, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["round"]
        constraints = [models.UniqueConstraint(fields=["comparison", "round"], name="one_vote_a_round")]


class ShareLink(models.Model):
    """Reads one branch, as it stood, until it is revoked. Only the SHA-256 of the token is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    token_hash = models.CharField(max_length=64, unique=True)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="share_links")
    head = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]


class ChatPreset(models.Model):
    """System instructions and parameters under a name, to be used in other conversations."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=80)
    system_instruction = models.TextField(blank=True)
    parameters = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="one_preset_a_name")]
