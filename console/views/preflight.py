"""What is missing on Google Cloud before money is spent. GET tells what is known, and asks the worker for what is not
known or old; POST asks in any case. Nothing but free reads comes of it."""

from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from console.presenters.catalogue.model_families import Variant, family
from console.presenters.components.preflight import show
from console.presenters.tuning.wizard.drafts import Wizard
from console.web.http import ConsoleRequest
from jobs import tasks
from jobs.models import PublisherModel, TuningDraft
from jobs.services.catalogue import regions
from jobs.services.preflight import preflight, subjects
from jobs.services.preflight.lines import Subject
from jobs.services.tuning import jobs


@require_http_methods(["GET", "HEAD", "POST"])
def of_project(request: ConsoleRequest) -> HttpResponse:
    return answer(request, subjects.of_project(), reverse("settings-preflight"))


@require_http_methods(["GET", "HEAD", "POST"])
def of_draft(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    """Nothing while an earlier step is not done."""
    draft = get_object_or_404(TuningDraft.objects.visible_to(request.user).open(), pk=pk)
    spec = Wizard(draft, request.user).preview_spec
    if spec is None:
        return HttpResponse(status=204)
    return answer(request, jobs.subject_of(spec), reverse("tuning-preflight", args=[pk]), is_in_form=True)


@require_http_methods(["GET", "HEAD", "POST"])
def of_deployment(request: ConsoleRequest) -> HttpResponse:
    """`model`, `machine`, `location` and `max_replicas` as in the form of the deployment. Nothing without a model."""
    values = request.POST if request.POST.get("model") else request.GET
    if not values.get("model"):
        return HttpResponse(status=204)
    variant = get_variant_or_404(values.get("model", ""))
    machine, replicas = values.get("machine", ""), parse_replicas(values.get("max_replicas", ""))
    region = parse_region(values.get("location", ""))
    chosen = variant.machine(machine)["machine_type"] if machine in variant.machines else ""
    told = urlencode({"model": variant.name, "machine": machine, "max_replicas": replicas, "location": region})
    url = f"{reverse('model-preflight')}?{told}"
    return answer(request, subjects.of_deployment(variant.name, chosen, replicas, region), url)


def get_variant_or_404(name: str) -> Variant:
    if "\x00" in name:
        raise Http404
    return family([get_object_or_404(PublisherModel.objects.only_listed(), name=name)]).variants[0]


def parse_region(text: str) -> str:
    """As the form would refuse another one, it is not looked at."""
    return text if text in regions.list_serving_regions() else ""


def parse_replicas(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 1


def answer(request: ConsoleRequest, subject: Subject, url: str, *, is_in_form: bool = False) -> HttpResponse:
    """Nothing on a local run, where there is nothing to pay and nothing to grant."""
    now = timezone.now()
    if not preflight.applies():
        return HttpResponse(status=204)
    wanted = request.method == "POST" or preflight.find(subject, now).is_old
    if wanted and preflight.ask(subject, now):
        tasks.enqueue_after_commit(tasks.run_preflight, key=subject.key)
    context = {"preflight": show(subject, url, now, is_in_form=is_in_form)}
    return render(request, "components/preflight.html", context)
