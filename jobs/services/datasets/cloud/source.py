"""Whether a training may read the object that a dataset was read from, instead of a copy of it."""

from jobs.models import Dataset
from jobs.services.storage import policies
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotAuthorised


def why_not_at_source(dataset: Dataset) -> str:
    """A sentence, or nothing: it is there in the generation that was checked, and its owner may still read it."""
    words = {"dataset": dataset.name, "uri": dataset.source_uri}
    if policies.why_not_read(dataset.owner, dataset.source_uri):
        return _("You no longer have permission to read %(uri)s, the source of the dataset %(dataset)s.") % words
    try:
        found = get_gateway().storage.find_object(dataset.source_uri)
    except NotAuthorised as error:
        if error.is_about_credentials:
            raise
        return _("The console can't read %(uri)s, the source of the dataset %(dataset)s, any more.") % words
    if found is None:
        return _("%(uri)s, the source of the dataset %(dataset)s, is not there any more.") % words
    if found.version != dataset.source_version:
        return _("%(uri)s, the source of the dataset %(dataset)s, changed after it was checked.") % words
    return ""
