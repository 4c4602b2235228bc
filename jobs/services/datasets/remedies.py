"""How a file comes to the console once more: from where it came."""

from jobs.models import Dataset
from jobs.text.deferred import gettext as _


def add_again(dataset: Dataset) -> str:
    if dataset.source_uri:
        return _("Read %s again under “From Cloud Storage” on the Datasets page.") % dataset.source_uri
    return _("Upload the file again.")
