"""What other machines ask. `/healthz`: does this process answer. `/readyz`: can it do its work; 503 when it cannot. It
also tells of the processes that it passes work on to, each of which has an address of its own, as `/readyz/all` is of
everything. None needs a sign-in, none tells secrets.
"""

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobs.services.health import readiness


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
    checks = readiness.run_checks(readiness.WEB, now)
    return health_response(checks, processes=readable(readiness.run_checks(readiness.PROCESSES, now)))


@login_not_required
@never_cache
@require_safe
def readyz_of(request: HttpRequest, kind: str) -> JsonResponse:
    if kind not in readiness.KINDS:
        raise Http404
    return health_response(readiness.run_checks(readiness.KINDS[kind], timezone.now()))


def health_response(problems: dict[str, str], **more: dict[str, str]) -> JsonResponse:
    is_fine = not any(problems.values())
    answer = {"status": "ok" if is_fine else "failing", "checks": readable(problems), **more}
    return JsonResponse(answer, status=200 if is_fine else 503)


def readable(problems: dict[str, str]) -> dict[str, str]:
    return {name: problem or "ok" for name, problem in problems.items()}
