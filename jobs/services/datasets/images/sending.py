"""Brings the images of a dataset into the bucket, where Vertex AI reads them. Only the worker may ask there."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from jobs.files import store
from jobs.models import Dataset
from jobs.services.datasets.references import list_addresses
from jobs.services.storage.policies import images_folder
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound

from . import places

A_PAGE = 1000


@dataclass(frozen=True)
class Sent:
    """`left`: there was no time for so many. `problem`: why one cannot be sent, as a sentence with its line."""

    sent: int = 0
    left: int = 0
    problem: str = ""


def send(dataset: Dataset, has_time: Callable[[], bool]) -> Sent:
    """What is there in its size is not sent again."""
    files = list(dataset.images.order_by("file").values_list("file", flat=True))
    if not files:
        return Sent()
    there, storage, sent = _list_sizes(dataset.owner_id), get_gateway().storage, 0
    for place, file in enumerate(files):
        name = places.stored_name(dataset.owner_id, file)
        size = store.size(name)
        if file in there and size in (None, there[file]):
            continue
        if not has_time():
            return Sent(sent, len(files) - place)
        address = places.address(dataset.owner_id, file)
        try:
            with store.local_copy(name) as path:
                storage.upload(path, address)
        except FileNotFoundError:
            return Sent(sent, problem=_say_gone(dataset, address))
        sent += 1
    return Sent(sent)


def _list_sizes(owner_id: int) -> dict[str, int]:
    """A bucket that is not there yet has none."""
    found, storage, token = dict[str, int](), get_gateway().storage, ""
    with suppress(NotFound):
        while True:
            page = storage.list_folder(images_folder(owner_id), token, A_PAGE)
            found |= {one.name: one.size for one in page.objects}
            token = page.next_token
            if not token:
                break
    return found


def _say_gone(dataset: Dataset, address: str) -> str:
    line = next((number for number, uri in list_addresses(dataset) if uri == address), 1)
    words = {"line": line, "dataset": dataset.name}
    return (
        _(
            "The image in line %(line)d of the dataset %(dataset)s is missing from this server. Upload the zip file"
            " with the rows and their images again."
        )
        % words
    )


def find_missing(dataset: Dataset, has_time: Callable[[], bool]) -> str:
    """A sentence with the first line that names an object which is not there, or nothing. As far as there is time: the
    rest is Vertex AI's to say."""
    storage, asked = get_gateway().storage, set[str]()
    for number, uri in list_addresses(dataset):
        if uri in asked or places.own_file(dataset.owner_id, uri):
            continue
        if not has_time():
            return ""
        asked.add(uri)
        if storage.find_object(uri) is None:
            words = {"dataset": dataset.name, "line": number, "uri": uri}
            return (
                _(
                    "Line %(line)d of the dataset %(dataset)s refers to %(uri)s, which is not there. Add the image, or"
                    " remove it from the row."
                )
                % words
            )
    return ""
