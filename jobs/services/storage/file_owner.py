"""Whether the files of a store are this console's own, so that what no row names may be deleted.

A second console that was pointed at the same place, or a new database beside old files, names none of them.
"""

import logging

from jobs.files import store
from jobs.services import installation

logger = logging.getLogger(__name__)
MARK = "owner/installation"


def may_sweep() -> bool:
    """Marks a place that has no mark yet. A data directory has one console, which `manage.py up` sees to."""
    if not store.place():
        return True
    own = str(installation.get_id())
    try:
        found = store.read(MARK).decode("utf-8", "replace")
    except FileNotFoundError:
        store.save(MARK, own.encode())
        return False
    if found != own:
        logger.error("%s belongs to another console (%s): files that no row names are kept", store.place(), found[:40])
    return found == own
