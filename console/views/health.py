"""What other machines ask: is the process alive, can it do its work. Neither needs a sign-in, neither tells secrets."""

import logging
from collections.abc import Callable
from datetime import timedelta

import redis
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobs.models import Heartbeat

WORKER_STALE_AFTER = timedelta(seconds=30)
logger = logging.getLogger(__name__)


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
        "database": database_problem,
        "broker": broker_problem,
        "worker": worker_problem,
    }
    problems = {name: problem for name, check in checks.items() if (problem := check())}
    parts = {name: problems.get(name, "ok") for name in checks}
    answer = {"status": "failing" if problems else "ok", "checks": parts}
    return JsonResponse(answer, status=503 if problems else 200)


def database_problem() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        logger.exception("The database does not answer")
        return _("The database does not answer.")
    return ""


def broker_problem() -> str:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
    try:
        client.ping()
    except (redis.RedisError, OSError):
        logger.warning("The broker does not answer", exc_info=True)
        return _("The broker does not answer.")
    finally:
        client.close()
    return ""


def worker_problem() -> str:
    """Never for long behind the truth: the worker writes its heartbeat at every sweep, each few seconds."""
    try:
        seen_at = Heartbeat.objects.filter(name="worker").values_list("seen_at", flat=True).first()
    except DatabaseError:
        return _("Unknown: the database does not answer.")
    if seen_at is None:
        return _("The worker has never reported.")
    age = timezone.now() - seen_at
    if age <= WORKER_STALE_AFTER:
        return ""
    return _("The worker last reported %(seconds)d seconds ago.") % {"seconds": age.total_seconds()}
