"""`/metrics`, for whoever has the token: browsers reach every port, also with pages of strangers in them."""

import hmac

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from console.presenters.health import metrics_text


@login_not_required
@never_cache
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    if not settings.METRICS_TOKEN:
        raise Http404
    if not is_known(request.headers.get("Authorization", "")):
        headers = {"WWW-Authenticate": 'Bearer realm="metrics"'}
        return HttpResponse("The token is missing or wrong.", "text/plain; charset=utf-8", 401, headers=headers)
    body, content_type = metrics_text.write(request.headers.get("Accept", ""), timezone.now())
    return HttpResponse(body, content_type)


def is_known(authorization: str) -> bool:
    scheme, _, token = authorization.partition(" ")
    given, wanted = token.strip().encode("utf-8", "replace"), settings.METRICS_TOKEN.encode()
    return hmac.compare_digest(given, wanted) and scheme.lower() == "bearer"
