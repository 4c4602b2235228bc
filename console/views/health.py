"""What other machines ask. `/healthz`: does this process answer. `/readyz`: does all work that it passes work on to,
each part by its name; 503 when one does not. Neither needs a sign-in, neither tells secrets.
"""

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
    now = timezone.now()
    checks: dict[str, Callable[[], str]] = {
        "database": status.database_problem,
        "broker": status.broker_problem,
        "worker": lambda: status.worker_problem(now),
        "scheduler": lambda: status.scheduler_problem(now),
        "chat": lambda: status.chat_problem(now),
        "disk": shortages.problem_with_disk,
    }
    problems = {name: problem for name, check in checks.items() if (problem := check())}
    parts = {name: problems.get(name, "ok") for name in checks}
    answer = {"status": "failing" if problems else "ok", "checks": parts}
    return JsonResponse(answer, status=503 if problems else 200)
