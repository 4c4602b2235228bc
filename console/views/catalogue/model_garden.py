"""The gallery: shelves of tiles, or a table of what was searched for. All of its state is in the address."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from console.forms.catalogue import CatalogueFilter, facet_groups
from console.presenters.catalogue import model_families, weights
from console.presenters.catalogue.model_families import Family, Variant
from console.presenters.catalogue.shelves import TILES, Shelf, sync_state
from console.presenters.components.highlight import highlight
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment
from jobs import tasks
from jobs.models import PublisherModel, TuningJob

NEWS = "garden-news"
OURS = ("google", "local")


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    families = model_families.families(PublisherModel.objects.only_listed())
    variants = [variant for family in families for variant in family.variants]
    chosen = CatalogueFilter.parse(request.GET)
    context = {
        "chosen": chosen,
        "groups": facet_groups(chosen, variants),
        "sync": sync_state(bool(variants)),
        **(search(chosen, variants) if chosen else shelves(request, families)),
    }
    if request.GET.get("action") == "deploy-weights":
        context |= weights.context_of(weights.form_of(variants, uri=request.GET.get("artifact_uri", "")))
        context["cancel_url"] = f"{reverse('model-garden')}{chosen.query}"
    return page_or_fragment(request, "model_garden/index.html", "results", context)


def shelves(request: ConsoleRequest, families: list[Family]) -> dict[str, Any]:
    named = [
        Shelf(_("Fine-tunable"), [family for family in families if family.can_tune], "?feature=tune"),
        Shelf(_("Made by Google"), [one for one in families if one.publisher == "google"], "?collection=google"),
        Shelf(_("Open models"), [one for one in families if one.publisher not in OURS], "?collection=partners"),
        Shelf(_("Your own models"), [one for one in families if one.publisher == "local"], "?collection=local"),
    ]
    tuned = TuningJob.objects.visible_to(request.user).listed().rows().with_tuned_model().order_by("-created_at")
    return {
        "shelves": [shelf for shelf in named if shelf.families],
        "tuned": list(tuned[:TILES]),
        "news": news(request, families),
    }


def news(request: ConsoleRequest, families: Iterable[Family]) -> list[Variant]:
    """What appeared in the catalogue lately, and after the person put the last news away."""
    seen = news_dismissed_at(request)
    new = [variant for family in families for variant in family.variants if variant.is_new]
    fresh = [one for one in new if seen is None or (one.model.first_seen_at or seen) > seen]
    return sorted(fresh, key=lambda one: str(one.model.first_seen_at), reverse=True)[:TILES]


def news_dismissed_at(request: ConsoleRequest) -> datetime | None:
    kept = request.session.get(NEWS, "")
    return datetime.fromisoformat(kept) if kept else None


def search(chosen: CatalogueFilter, variants: Iterable[Variant]) -> dict[str, Any]:
    rows = [
        {
            "variant": variant,
            "title": highlight(variant.title, chosen.q),
            "line": highlight(variant.matching_line(chosen.words), chosen.q),
            "resource": highlight(variant.name, chosen.q),
        }
        for variant in variants
        if chosen.matches(variant)
    ]
    return {"rows": rows}


@require_POST
def refresh(request: ConsoleRequest) -> HttpResponse:
    tasks.enqueue_after_commit(tasks.sync_catalogue)
    messages.info(request, _("The catalogue is being reloaded."))
    return hx_redirect(request, "model-garden")


@require_POST
def dismiss(request: ConsoleRequest) -> HttpResponse:
    request.session[NEWS] = timezone.now().isoformat()
    return hx_redirect(request, "model-garden")
