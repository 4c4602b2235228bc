"""What other machines ask: is the process alive, can it do its work. Neither needs a sign-in, neither tells secrets."""

from collections.abc import Callable

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobs import shortages
from jobs.services import status


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    checks: dict[str, Callable[[], str]] = {
        "database": status.database_problem,
        "broker": status.broker_problem,
        "worker": lambda: status.worker_problem(timezone.now()),
        "disk": shortages.problem_with_disk,
    }
    problems = {name: problem for name, check in checks.items() if (problem := check())}
    parts = {name: problems.get(name, "ok") for name in checks}
    answer = {"status": "failing" if problems else "ok", "checks": parts}
    return JsonResponse(answer, status=503 if problems else 200)
