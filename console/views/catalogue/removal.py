"""Removing an imported model: one page says what uses it and what is freed, and does it."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from console.forms.catalogue_import import RemoveForm
from console.presenters.catalogue.imports import enqueue
from console.presenters.catalogue.removal import removal_of
from console.web.http import ConsoleRequest, hx_redirect
from jobs.errors import NotAllowedNow
from jobs.services.catalogue.hub import removal

from .model_detail import family_or_404, get_variant_or_404

PAGE = "model_garden/remove.html"


@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: ConsoleRequest, publisher: str, slug: str) -> HttpResponse:
    family = family_or_404(publisher, slug)
    if request.method == "POST":
        model = get_variant_or_404(family, request.POST.get("model", "")).model
    else:
        model = family.variant(request.GET.get("variant", "")).model
    form = RemoveForm(request.POST if request.method == "POST" else None, name=model.display_name)
    if form.is_bound and form.is_valid():
        try:
            row = removal.remove(request.user, model)
        except NotAllowedNow as error:
            form.add_error(None, str(error))
        else:
            enqueue(row)
            return hx_redirect(request, "model-import-detail", row.pk)
    context = {"found": removal_of(request.user, model), "form": form}
    return render(request, PAGE, context, status=422 if form.is_bound else 200)
