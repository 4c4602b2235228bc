"""Whether a model server can start from a folder, looked at before anything is paid for."""

from django.conf import settings

from jobs.models import ModelForm
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotAuthorised, NotFound

from .forms import SERVABLE_ADAPTER, form_of, say_adapter, say_no_weights

PAGE = 500


def why_not_deploy_folder(uri: str) -> str:
    """A sentence, or nothing. Where the console may not look, Vertex AI's own account may still read: nothing is said.
    Raises VertexError for what may be better in a moment."""
    storage = get_gateway().storage
    try:
        page = storage.list_folder(uri, "", PAGE)
        names = {one.name for one in page.objects}
        if settings.VERTEX_API_ENDPOINT and SERVABLE_ADAPTER in names | _adapters_below(uri, page.folders):
            return ""
    except NotFound:
        return _("The bucket of %s doesn't exist.") % uri
    except NotAuthorised:
        return ""
    return "" if page.next_token else _why_not(uri, names)


def _adapters_below(uri: str, folders: tuple[str, ...]) -> set[str]:
    if "adapter" not in folders:
        return set()
    return {one.name for one in get_gateway().storage.list_folder(f"{uri}/adapter", "", PAGE).objects}


def _why_not(uri: str, names: set[str]) -> str:
    form = form_of(names)
    if form == ModelForm.ADAPTER:
        return say_adapter()
    return say_no_weights(uri) if form == ModelForm.NONE else ""
