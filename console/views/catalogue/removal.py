"""Removing an imported model: one page says what uses it and what is freed, and does it."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods

from console.forms.catalogue_import import RemoveForm
from console.presenters.catalogue.imports import enqueue
from console.presenters.catalogue.removal import removal_of
from console.web.http import ConsoleRequest, hx_redirect
from jobs.errors import NotAllowedNow
from jobs.models import PublisherModel
from jobs.services.catalogue.hub import removal

PAGE = "model_garden/remove.html"


@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: ConsoleRequest, publisher: str, slug: str) -> HttpResponse:
    """`variant`: the version of the model."""
    named = f"{publisher}/{slug}@{request.GET.get('variant', '')}".replace("\x00", "")
    model = get_object_or_404(PublisherModel.objects.only_listed(), name=named)
    form = RemoveForm(request.POST if request.method == "POST" else None, name=model.display_name)
    if form.is_bound and form.is_valid():
        try:
            row = removal.remove(request.user, model)
        except NotAllowedNow as error:
            form.add_error(None, str(error))
        else:
            enqueue(row)
            return hx_redirect(request, "model-import-detail", row.pk)
    context = {"found": removal_of(request.user, model), "form": form, "here": request.get_full_path()}
    return render(request, PAGE, context, status=422 if form.is_bound else 200)
