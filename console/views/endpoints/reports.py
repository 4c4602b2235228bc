"""Parts of an endpoint's page that come from Google Cloud beside Vertex AI, and are renewed by themselves."""

import uuid

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from console.web.http import ConsoleRequest

from .endpoints import log_context, metrics_context, visible_endpoint


@require_safe
def metrics(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = visible_endpoint(request, pk)
    return render(request, "endpoints/metrics.html", {"endpoint": endpoint, **metrics_context(request, endpoint)})


@require_safe
def log(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = visible_endpoint(request, pk)
    return render(request, "endpoints/log.html", {"endpoint": endpoint, **log_context(endpoint)})
