from functools import cache
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from .port import VertexGateway


@cache
def get_gateway() -> VertexGateway:
    """The one named by settings.VERTEX_GATEWAY; made at first use, since Google's clients take seconds to import."""
    return cast(VertexGateway, import_string(settings.VERTEX_GATEWAY)())
