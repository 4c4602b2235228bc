from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from console.web.http import ConsoleRequest, respond_with_image
from jobs.services.datasets.images import kept, places


@require_safe
def show(request: ConsoleRequest, file: str) -> HttpResponse:
    """One that a dataset of this person has."""
    try:
        content = kept.read(request.user.pk, file)
    except FileNotFoundError:
        raise Http404 from None
    return respond_with_image(content, places.type_of(file))
