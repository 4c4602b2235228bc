"""A chat or a comparison as a file."""

import json
import uuid

from django.http import Http404, HttpResponse
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from console.presenters.chat.turns import visible_conversation
from console.presenters.comparisons.columns import visible_comparison
from console.web.http import ConsoleRequest
from jobs.errors import NotAllowedNow
from jobs.models import Comparison, Conversation
from jobs.services.chat import export as chat_export
from jobs.services.comparisons import export as comparison_export


@require_safe
def export(request: ConsoleRequest, pk: uuid.UUID, form: str) -> HttpResponse:
    """`?pictures` puts the pictures into the JSON."""
    talk = visible_conversation(request, pk)
    if form == "md":
        return file(talk, "md", "text/markdown", chat_export.markdown(talk))
    if form == "json":
        document = chat_export.document(talk, pictures="pictures" in request.GET)
        return file(talk, "json", "application/json", json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    if form == "jsonl":
        rows = chat_export.json_lines(talk)
        if not rows:
            raise NotAllowedNow(_("No question in this chat has an answer that a model can learn from."))
        return file(talk, "jsonl", "application/jsonl", rows)
    raise Http404


@require_safe
def comparison(request: ConsoleRequest, pk: uuid.UUID, form: str) -> HttpResponse:
    compared = visible_comparison(request, pk)
    if form == "md":
        return file(compared, "md", "text/markdown", comparison_export.markdown(compared))
    if form == "json":
        text = json.dumps(comparison_export.document(compared), ensure_ascii=False, indent=2) + "\n"
        return file(compared, "json", "application/json", text)
    raise Http404


def file(talk: Conversation | Comparison, suffix: str, content_type: str, content: str) -> HttpResponse:
    name = f"{slugify(talk.title)[:60] or 'chat'}.{suffix}"
    disposition = f'attachment; filename="{name}"'
    return HttpResponse(
        content, content_type=f"{content_type}; charset=utf-8", headers={"Content-Disposition": disposition}
    )
