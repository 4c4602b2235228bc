"""An answer's figures, and where its frames come from."""

import json
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from django import template
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.html import escape
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy as _

from console.templatetags.console import icon
from console.web.streams import chat_ticket
from jobs.models import Conversation, Message
from jobs.services.chat import policies

register = template.Library()

ENDS: dict[str, str | Promise] = {
    "stop": _("finished"),
    "length": _("stopped at the output limit"),
    "content_filter": _("stopped by the content filter"),
    "tool_calls": _("called a tool"),
}


@register.filter
def frames_url(message: Message, request: HttpRequest) -> str:
    return all_frames_url([message], request)


@register.filter
def all_frames_url(answers: Iterable[Message], request: HttpRequest) -> str:
    """One stream of all of them."""
    assert request.user.pk is not None
    messages = ",".join(str(message.pk) for message in answers)
    ticket = chat_ticket(messages, request.user.pk, request.session.session_key)
    return f"/streams/chat/{messages}?ticket={ticket}"


@register.filter
def as_json(value: Any) -> str:
    """To be read; the template escapes it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


@register.filter
def answer_html(message: Message) -> SafeString:
    """As it is stored, sanitised, with a button on each block of code. None of these strings can be in an attribute's
    value: it would hold no quotes or, the last one, stand there for nothing but itself."""
    label = escape(gettext("Copy code"))
    before = (
        f'<div class="code" data-controller="clipboard" data-clipboard-done-value="{escape(gettext("Copied"))}">'
        f'<button type="button" class="ib" data-action="clipboard#copy" aria-label="{label}" title="{label}">'
        f'{icon("content_copy")}</button><pre class="code" tabindex="0" data-clipboard-target="source"'
    )
    return SafeString(message.html.replace('<pre class="code"', before).replace("</code></pre>", "</code></pre></div>"))


@register.filter
def end_words(message: Message) -> str | Promise:
    return ENDS.get(message.finish_reason, message.finish_reason)


@register.filter
def place(tree: Any, message: Message) -> Any:
    """Which of its siblings a turn is: `tree` is the conversation's, from the view."""
    return tree.place(message.pk)


@register.simple_tag
def can_drop(tree: Any, message: Message, talk: Conversation) -> bool:
    """Whether older turns are there that a model which can't read all could do without."""
    told = tree.prompt_ids(message.parent_id, talk.sent_from_id)
    return message.error_code == "CONTEXT_LENGTH" and not policies.why_not_drop_oldest(told)


ACTIONS: dict[str, Callable[[Message], str]] = {
    "regenerate": policies.why_not_regenerate,
    "continue": policies.why_not_continue,
    "edit_question": policies.why_not_edit_question,
    "edit_answer": policies.why_not_edit_answer,
    "branch_off": policies.why_not_branch_off,
    "rate": policies.why_not_rate,
}


@register.filter
def may(message: Message, action: str) -> bool:
    """One of ACTIONS."""
    return not ACTIONS[action](message)


@register.filter
def may_be_deleted(message: Message, place: Any) -> bool:
    """`place`: which of its siblings the turn is."""
    return not policies.why_not_delete_turn(message, place.count)


@register.filter
def turn_key(tree: Any, message: Message) -> uuid.UUID:
    """The same until something is added to the chat: two clicks, in two windows too, are one."""
    return uuid.uuid5(message.pk, str(tree.last))


@register.simple_tag
def new_key() -> uuid.UUID:
    return uuid.uuid4()


@register.filter
def seconds(value: Any) -> str:
    return gettext("%(seconds)s s") % {"seconds": f"{value:.2f}" if value < 10 else f"{value:.0f}"}


@register.filter
def only_completes(conversation: Conversation) -> bool:
    """A pretrained model (no `-it` in its name) was never taught to answer."""
    endpoint = conversation.endpoint
    name = endpoint.model.publisher_model if endpoint else ""
    return "gemma" in name and not name.endswith("-it")
