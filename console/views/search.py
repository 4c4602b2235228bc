"""One box for everything: models, and what the person made of them. Six rows of each kind are asked for, five shown."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from console.presenters.catalogue import model_families
from console.presenters.search.results import Kind, group_of, list_tuned_models, page_of
from console.web.http import ConsoleRequest
from jobs.models import Conversation, Dataset, Endpoint, PublisherModel, TuningJob

LONGEST_QUERY = 200


KINDS = (
    Kind(
        _("Models"), "potted_plant", ("display_name", "name"), lambda user: PublisherModel.objects.only_listed(),
        lambda row: model_families.Variant(row, "").url, "model-garden", has_search=True,
    ),
    Kind(
        _("Tuned models"), "tune", ("display_name", "base_model", "tuned_model"), list_tuned_models,
        page_of("tuned-model"), "tuned-models", has_search=True,
    ),
    Kind(
        _("Tuning jobs"), "model_training", ("display_name", "base_model", "resource_name"),
        lambda user: TuningJob.objects.visible_to(user).rows(), page_of("tuning-job"), "tuning-list",
    ),
    Kind(
        _("Endpoints"), "dns", ("display_name", "main_model__base_model", "resource_name"),
        lambda user: Endpoint.objects.visible_to(user).not_deleted().with_model(), page_of("endpoint-detail"),
        "endpoint-list", has_search=True,
    ),
    Kind(
        _("Datasets"), "dataset", ("name", "file_name"),
        lambda user: Dataset.objects.visible_to(user), page_of("dataset-detail"), "dataset-list",
    ),
    Kind(
        _("Chats"), "chat", ("title", "endpoint__display_name"),
        lambda user: Conversation.objects.visible_to(user).select_related("endpoint"),
        page_of("chat-conversation"), "chat",
    ),
)  # fmt: skip


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    q = request.GET.get("q", "").replace("\x00", "").strip()[:LONGEST_QUERY]
    groups = [group_of(kind, request.user, q) for kind in KINDS] if q else []
    context = {"q": q, "groups": [group for group in groups if group.hits]}
    return render(request, "search/index.html", context)
