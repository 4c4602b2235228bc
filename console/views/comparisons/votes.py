"""The vote on a round of answers, and the way of an answer into a dataset."""

import uuid

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from console.forms.chat.compare import RowForm, VoteForm
from console.presenters.chat.turns import address_of, visible_message
from console.presenters.comparisons.columns import fragment, visible_answer, visible_comparison
from console.web.http import ConsoleRequest, hx_redirect, wants_fragment
from jobs.errors import JobsError, NotAllowedNow
from jobs.models import Conversation, Dataset, Message, Role
from jobs.services.comparisons import rows, votes

MAX_DATASETS = 200


@require_POST
def vote(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    comparison = visible_comparison(request, pk)
    form = VoteForm(request.POST)
    if not form.is_valid():
        raise NotAllowedNow(_("Reload the page and vote again."))
    winner = form.cleaned_data["winner"]
    column = Conversation.objects.filter(comparison=comparison, pk=winner).first() if winner else None
    if winner and column is None:
        raise NotAllowedNow(_("Reload the page and vote again."))
    votes.vote(comparison, number=form.cleaned_data["round"], winner=column)
    if request.htmx:
        return fragment(request, comparison, _("Vote counted"))
    return hx_redirect(request, "compare-detail", pk)


@require_POST
def reveal(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    comparison = visible_comparison(request, pk)
    votes.reveal(comparison)
    comparison.blind = False
    if request.htmx:
        return fragment(request, comparison, _("The names are shown"))
    return hx_redirect(request, "compare-detail", pk)


asks = require_http_methods(["GET", "HEAD", "POST"])


@asks
def row(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    return row_of(request, visible_answer(request, pk))


@asks
def chat_row(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """Of an answer in a chat, which is no comparison."""
    answer = visible_message(request, pk)
    if answer.role != Role.ASSISTANT:
        raise Http404
    return row_of(request, answer)


def row_of(request: ConsoleRequest, answer: Message) -> HttpResponse:
    usable = Dataset.objects.visible_to(request.user).latest_versions().usable().rows().filter(shape="")
    datasets = list(usable.order_by("-created_at")[:MAX_DATASETS])
    names = (_("Compared answers"), _("Answers from chats"))
    if request.method != "POST":
        first = {"key": uuid.uuid4(), "text": answer.content, "name": names[answer.conversation.comparison_id is None]}
        last = rows.last_chosen(request.user)
        chosen = next((str(each.pk) for each in datasets if last and each.family == last.family), "")
        return row_form(request, answer, RowForm(initial=first | {"dataset": chosen}, datasets=datasets))
    form = RowForm(request.POST, datasets=datasets)
    made = add_row(answer, form) if form.is_valid() else None
    if made is None:
        return row_form(request, answer, form, status=422)
    words = {"name": made.name, "version": made.version}
    messages.success(request, _("The answer is a row of “%(name)s”, version %(version)d.") % words)
    return hx_redirect(request, back_from(answer))


def back_from(answer: Message) -> str:
    talk = answer.conversation
    if talk.comparison_id:
        return reverse("compare-detail", args=[talk.comparison_id])
    return address_of(talk, answer)


def add_row(answer: Message, form: RowForm) -> Dataset | None:
    """The dataset with the row, or None with the reason in the form."""
    values = form.cleaned_data
    chosen = {"key": values["key"], "text": values["text"], "dataset": values["dataset"], "name": values["name"]}
    try:
        return rows.add(answer, **chosen)
    except JobsError as error:
        form.add_error(None, str(error))
        return None


def row_form(request: ConsoleRequest, answer: Message, form: RowForm, status: int = 200) -> HttpResponse:
    is_dialog = wants_fragment(request)
    part = ("#form" if request.method == "POST" else "#dialog") if is_dialog else ""
    context = {
        "answer": answer,
        "back_url": back_from(answer),
        "is_compared": answer.conversation.comparison_id is not None,
        "form": form,
        "reason": rows.why_not(answer),
        "is_dialog": is_dialog,
    }
    response = render(request, f"compare/row.html{part}", context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    if is_dialog and request.method == "POST":
        response["HX-Retarget"], response["HX-Reswap"] = "#row-form", "outerHTML"
    return response
