"""What stands in the way of an answer, and the next step for each."""

from dataclasses import dataclass
from urllib.parse import quote

from django import template
from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs.models import Conversation, Endpoint, Message
from jobs.states import EndpointState, MessageState

register = template.Library()

WAITS: dict[str, str | Promise] = {
    "worker": _("Waiting for a worker"),
    "first_token": _("Sent to the endpoint, waiting for the first token"),
    "start": _("Starting the model. The first answer can take a few minutes"),
}
VIEW, OTHER, QUESTION, SETTINGS, QUOTAS = "view", "other", "question", "settings", "quotas"
QUOTA_PAGE = "https://console.cloud.google.com/iam-admin/quotas?project={project}"
# By the code of the refusal; what is not here is tried again.
AFTER_FAILURE: dict[str, tuple[str, str | Promise]] = {
    "CONTEXT_LENGTH": (QUESTION, _("Start a new chat with the last question")),
    "NO_IMAGES": (QUESTION, _("Ask in a new chat without the images")),
    "NO_TOOLS": (SETTINGS, _("Check the settings")),
    "NOT_FOUND": (OTHER, _("Chat with another endpoint")),
    "FAILED_PRECONDITION": (VIEW, _("View endpoint")),
    "PERMISSION_DENIED": (VIEW, _("View endpoint")),
    "UNAUTHENTICATED": (VIEW, _("View endpoint")),
    "QUOTA": (QUOTAS, _("View the project's quotas")),
    "COLD": (VIEW, _("View endpoint")),
    "RESOURCE_EXHAUSTED": (VIEW, _("View endpoint load")),
    "INVALID_ARGUMENT": (SETTINGS, _("Check the settings")),
}
GONE: tuple[str | Promise, str, str | Promise] = (
    _("The endpoint of this chat was deleted. You can continue the chat with another endpoint."),
    OTHER, _("Chat with another endpoint"),
)  # fmt: skip
# An endpoint that was not made here: it still exists in Vertex AI.
DETACHED: tuple[str | Promise, str, str | Promise] = (
    _("The endpoint %(name)s is no longer in your list. You can continue the chat with another endpoint."),
    OTHER, _("Chat with another endpoint"),
)  # fmt: skip
# By the state of the endpoint: what to say, the step and its label.
PLACES: dict[str, tuple[str | Promise, str, str | Promise]] = {
    EndpointState.DEPLOYING: (
        _("The endpoint %(name)s is still being deployed. You can continue this chat when it's ready."),
        VIEW, _("View progress"),
    ),
    EndpointState.UNDEPLOYED: (
        _("The endpoint %(name)s has no deployed model. Deploy it again to continue this chat."),
        VIEW, _("Deploy it again"),
    ),
    EndpointState.FAILED: (
        _("The endpoint %(name)s failed and can't answer."), VIEW, _("See why"),
    ),
    EndpointState.UNDEPLOYING: (
        _("The endpoint %(name)s is being undeployed and no longer answers."), OTHER, _("Chat with another endpoint"),
    ),
    EndpointState.DELETING: (
        _("The endpoint %(name)s is being deleted and no longer answers."), OTHER, _("Chat with another endpoint"),
    ),
    EndpointState.DELETED: GONE,
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    label: str | Promise
    url: str
    is_settings: bool = False


@dataclass(frozen=True)
class Place:
    text: str
    step: Step


ELSEWHERE = Step(_("Choose another endpoint"), "#chat-endpoint")


@register.filter
def first_wait(message: Message) -> tuple[str, int]:
    """What is awaited as the turn is drawn; from then on the page asks."""
    if message.content:
        return "", 0
    is_waiting = message.state == MessageState.WAITING
    began = message.created_at if is_waiting else message.updated_at
    seconds = max(0, int((timezone.now() - began).total_seconds()))
    return ("worker" if is_waiting else "first_token"), seconds


@register.filter
def wait_words(kind: str) -> str | Promise:
    return WAITS[kind]


@register.simple_tag
def next_step(message: Message, endpoint: Endpoint | None) -> Step | None:
    """None: there is nothing better than to try again."""
    kind, label = AFTER_FAILURE.get(message.error_code, ("", ""))
    return _step(kind, label, endpoint, message) if kind else None


@register.simple_tag
def place(talk: Conversation, has_others: bool) -> Place:
    """Why the conversation cannot go on now. With `has_others` another endpoint can be chosen on the page itself."""
    endpoint = talk.endpoint
    said = PLACES.get(endpoint.state, GONE) if endpoint else GONE
    text, kind, label = DETACHED if said is GONE and endpoint and not endpoint.made_here else said
    step = ELSEWHERE if kind == OTHER and has_others else _step(kind, label, endpoint, None)
    return Place(str(text) % {"name": endpoint.display_name if endpoint else ""}, step)


def _step(kind: str, label: str | Promise, endpoint: Endpoint | None, message: Message | None) -> Step:
    if kind == SETTINGS:
        return Step(label, "#settings", is_settings=True)
    if kind == QUOTAS and not settings.VERTEX_API_ENDPOINT:
        return Step(label, QUOTA_PAGE.format(project=quote(settings.VERTEX_PROJECT, safe="")))
    if kind == QUOTAS:
        kind, label = VIEW, _("View endpoint")
    if kind == VIEW and endpoint is not None:
        return Step(label, reverse("endpoint-detail", args=[endpoint.pk]))
    url = reverse("chat")
    if kind == QUESTION and message is not None and endpoint is not None:
        url += f"?endpoint={endpoint.pk}&question={message.parent_id}"
    return Step(label, url)
