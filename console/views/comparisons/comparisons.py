"""Several models asked the same: the list, the page of one comparison, and what is done with it as a whole."""

import uuid
from functools import partial
from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.forms.chat.chat import MessageForm, TitleForm
from console.forms.chat.compare import CompareForm
from console.presenters.chat.images import collect_images
from console.presenters.chat.turns import key_of, save_draft
from console.presenters.comparisons.columns import fragment, page, visible_comparison, with_errors
from console.presenters.components.pager import paginate as pages_of
from console.web.http import ConsoleRequest, hx_redirect, wants_fragment
from jobs import tasks
from jobs.errors import NotAllowedNow
from jobs.models import Comparison, Endpoint, Message
from jobs.services.comparisons import comparisons, votes

asks = require_http_methods(["GET", "HEAD", "POST"])


@asks
def index(request: ConsoleRequest) -> HttpResponse:
    ready = list(Endpoint.objects.visible_to(request.user).ready().with_model())
    form = CompareForm(request.POST if request.method == "POST" else None, ready=ready, initial=first(request, ready))
    if form.is_bound and form.is_valid():
        values = form.cleaned_data
        made = comparisons.create(request.user, key=values["key"], endpoints=form.endpoints, blind=values["blind"])
        return hx_redirect(request, "compare-detail", made.pk)
    return render(request, "compare/index.html", list_context(request, form), status=422 if form.is_bound else 200)


def list_context(request: ConsoleRequest, form: CompareForm) -> dict[str, Any]:
    rows = Comparison.objects.visible_to(request.user).annotate(voted=Count("votes"))
    found = pages_of(rows.prefetch_related("columns__endpoint"), request.GET, ())
    return {"form": form, "page": found, "scores": votes.tally(request.user)}


def first(request: ConsoleRequest, ready: list[Endpoint]) -> dict[str, Any]:
    """`?endpoint=` is compared with its base model, or with whatever else there is."""
    wanted = request.GET.get("endpoint", "")
    left = next((each for each in ready if str(each.pk) == wanted), ready[0] if ready else None)
    initial: dict[str, Any] = {"key": uuid.uuid4()}
    if left is not None:
        other = next((each for each in ready if each.pk != left.pk), left)
        base_model = left.model.base_model if left.model.job_id else None
        right = next((each for each in ready if each.model.publisher_model == base_model), other)
        initial |= {"a": str(left.pk), "b": str(right.pk)}
    return initial


@require_safe
def detail(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    comparison = visible_comparison(request, pk)
    response = (fragment if wants_fragment(request) else page)(request, comparison)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_POST
def send(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    comparison = visible_comparison(request, pk)
    form = MessageForm(request.POST, attached=collect_images(request, None))
    answers = send_message(comparison, form) if form.is_valid() else None
    if answers is None:
        return with_errors(request, comparison, form)
    is_first = all(answer.ordinal <= 2 for answer in answers)
    if is_first or not request.htmx:
        return hx_redirect(request, "compare-detail", pk)
    return fragment(request, comparison)


def send_message(comparison: Comparison, form: MessageForm) -> list[Message] | None:
    """The answers to wait for; None, with the reason on the form, when nothing can be asked now."""
    data = form.cleaned_data
    try:
        answers = comparisons.send(comparison, key=data["key"], text=data["text"], pictures=form.pictures)
    except NotAllowedNow as error:
        form.add_error("text", str(error))
        return None
    for answer in answers:
        if answer.is_live:
            tasks.enqueue_answer(answer)
    return answers


@require_POST
def draft(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    return save_draft(request, partial(comparisons.keep_draft, visible_comparison(request, pk)))


@require_POST
def stop_all(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    comparisons.stop_all(visible_comparison(request, pk))
    return HttpResponse(status=204) if request.htmx else hx_redirect(request, "compare-detail", pk)


@require_POST
def blind(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    comparisons.set_blind(visible_comparison(request, pk), "blind" in request.POST)
    return HttpResponse(status=204) if request.htmx else hx_redirect(request, "compare-detail", pk)


@require_POST
def again(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    made = comparisons.again(visible_comparison(request, pk), key=key_of(request))
    return hx_redirect(request, "compare-detail", made.pk)


@asks
def rename(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    comparison = visible_comparison(request, pk)
    form = TitleForm(request.POST if request.method == "POST" else None, initial={"title": comparison.title})
    if form.is_bound and form.is_valid():
        comparisons.rename(comparison, form.cleaned_data["title"])
        return hx_redirect(request, "compare-detail", pk)
    return page(request, comparison, status=422 if form.is_bound else 200, title_form=form)


@require_POST
def delete(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    comparisons.delete(visible_comparison(request, pk))
    messages.info(request, _("Comparison deleted"))
    return hx_redirect(request, "compare")
