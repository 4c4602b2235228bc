"""One conversation asked again by a program: by curl, Python and JavaScript. No secret is printed."""

import uuid
from typing import Any

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from console.presenters.chat.code import TABS, Code
from console.presenters.chat.turns import visible_conversation
from console.web.http import ConsoleRequest, page_or_fragment
from jobs.models import Conversation, Role
from jobs.services.chat.parameters import only_taken
from jobs.services.chat.streaming import answer

from .conversations import context_of

EXAMPLE = [{"role": "user", "content": "Hello!"}]


def body_of(talk: Conversation) -> dict[str, Any]:
    """What the last question of the branch shown was asked with; a first question in its place where there is none."""
    turns, endpoint = talk.path(), talk.endpoint
    assert endpoint is not None
    question = next((turn for turn in reversed(turns) if turn.role == Role.USER), None)
    messages = answer.messages_for(talk, question, endpoint) if question else EXAMPLE
    return {"messages": messages, **only_taken(talk.parameters, endpoint)}


@require_safe
def code(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    talk = visible_conversation(request, pk)
    if talk.endpoint is None:
        raise Http404("The endpoint of this conversation was deleted.")
    shown = Code(talk.endpoint, body_of(talk), TABS[0])
    wanted = next((tab for tab in shown.tabs if tab.key == request.GET.get("tab")), TABS[0])
    shown = Code(shown.endpoint, shown.body, wanted)
    if "download" in request.GET:
        headers = {"Content-Disposition": f'attachment; filename="{wanted.file}"'}
        return HttpResponse(shown.text, content_type="text/plain; charset=utf-8", headers=headers)
    context = {"code": shown, "conversation": talk}
    if not request.htmx:
        context |= context_of(request, talk)
    return page_or_fragment(request, "chat/conversation.html", "code", context)
