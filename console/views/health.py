"""What other machines ask. `/healthz`: does this process answer. `/readyz`: can it do its work; 503 when it cannot. It
also tells of the processes that it passes work on to, each of which has an address of its own, as `/readyz/all` is of
everything. None needs a sign-in, none tells secrets.
"""

import logging

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobs.services.health import readiness

logger = logging.getLogger(__name__)
# Whoever asked these has told the log already, with what the driver said.
TOLD = ("database", "broker")


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
    response = JsonResponse(answer, status=200 if is_fine else 503)
    if not is_fine:
        response.shortage = True  # type: ignore[attr-defined]  # how our middleware knows that the log was told
        response._has_been_logged = True  # type: ignore[attr-defined]  # how Django knows
        tell(problems)
    return response


def tell(problems: dict[str, str]) -> None:
    """One line for what is wrong: whoever asks does so every few seconds."""
    if not any(problems.get(name) for name in TOLD):
        text = "; ".join(f"{name}: {problem}" for name, problem in problems.items() if problem)
        logger.warning("Not ready. %s", text)


def readable(problems: dict[str, str]) -> dict[str, str]:
    return {name: problem or "ok" for name, problem in problems.items()}
