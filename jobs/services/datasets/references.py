"""Objects in `gs://` that the rows of a dataset name: a server reads them for whoever owns the dataset.

What a row may name was asked when it was checked. A right can be taken away since, and a dataset from before, or one
that a program of the machine put there, was never asked: each is looked through when it is to be sent.
"""

import json
import re
from collections.abc import Iterator

from jobs.files import store
from jobs.models import Dataset
from jobs.services.storage import policies
from jobs.text.deferred import gettext as _, join

from .images import places
from .images.parts import HINT, references
from .policies import add_again

_HINT = re.compile(HINT.pattern.encode())


def why_not_sent(dataset: Dataset) -> str:
    """A sentence with the first line that names what the owner may not read, or nothing."""
    allowed: set[str] = set()
    for number, uri in list_addresses(dataset):
        if uri in allowed or places.own_file(dataset.owner_id, uri):
            continue
        if policies.why_not_read(dataset.owner, uri):
            words = {"dataset": dataset.name, "line": number, "uri": uri}
            sentence = _(
                "Line %(line)d of the dataset %(dataset)s refers to %(uri)s, which you don't have permission "
                "to read. Remove the reference from the file."
            )
            return join(sentence % words, add_again(dataset))
        allowed.add(uri)
    return ""


def list_addresses(dataset: Dataset) -> Iterator[tuple[int, str]]:
    """A file that is gone names nothing: what is missing is said by whoever needs it."""
    try:
        kept = store.open_file(dataset.stored_name)
    except FileNotFoundError:
        return
    with kept as file:
        for number, line in enumerate(file, 1):
            if _HINT.search(line):
                yield from ((number, uri) for uri in _of_line(line))


def _of_line(line: bytes) -> list[str]:
    try:
        return [uri for _path, uri, _source in references(json.loads(line))]
    except (ValueError, RecursionError):
        return []
