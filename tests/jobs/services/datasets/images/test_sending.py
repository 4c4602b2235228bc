import io

import pytest
from django.contrib.auth.models import User

from jobs.files import store
from jobs.models import Dataset
from jobs.services.datasets import references
from jobs.services.datasets.images import places, sending, uploads
from tests.fakes import FakeGateway
from tests.support import factories
from tests.support.zips import lines, make_row, pack, pack_images

pytestmark = pytest.mark.django_db
FOLDER = "gs://garden-local/datasets/users"


def always() -> bool:
    return True


def upload(owner: User, content: bytes) -> Dataset:
    return uploads.create(owner, io.BytesIO(content), "set.zip")[0]


def test_images_are_sent_once_and_again_when_they_changed(owner: User, fake_gateway: FakeGateway) -> None:
    dataset, objects = upload(owner, pack_images("a.png", "b.png")), fake_gateway.storage.objects
    assert sending.send(dataset, always) == sending.Sent(2)
    names = sorted(f"{FOLDER}/{owner.pk}/images/{file}" for file in dataset.images.values_list("file", flat=True))
    assert sorted(objects) == names
    assert sending.send(dataset, always) == sending.Sent(0)
    objects[names[1]] = b"cut off"
    assert sending.send(dataset, always) == sending.Sent(1)
    assert objects[names[1]] == store.read(places.stored_name(owner.pk, names[1].rpartition("/")[2]))


def test_what_there_is_no_time_for_is_left_to_the_next_step(owner: User, fake_gateway: FakeGateway) -> None:
    dataset, times = upload(owner, pack_images("a.png", "b.png", "c.png")), iter((True, False))
    assert sending.send(dataset, lambda: next(times)) == sending.Sent(1, 2)
    assert sending.send(dataset, always) == sending.Sent(2)


def test_a_file_that_is_lost_is_named_by_its_row(owner: User, fake_gateway: FakeGateway) -> None:
    dataset = upload(owner, pack({
        "a.png": factories.png(),
        "rows.jsonl": lines({"prompt": "Hello?", "completion": "Ahoy!"}, make_row("a.png")),
    }))  # fmt: skip
    store.delete(places.stored_name(owner.pk, dataset.images.get().file))
    assert sending.send(dataset, always).problem == (
        "The image in line 2 of the dataset set is missing from this server. Upload the zip file with the rows and"
        " their images again."
    )


def test_objects_of_ones_own_are_looked_for(owner: User, fake_gateway: FakeGateway) -> None:
    """Those of an upload are sent, and not asked for."""
    names = ("gs://team/a.png", "gs://team/a.png", "gs://team/b.png")
    rows = lines(*(make_row(name) for name in names), make_row("mine.png"))
    dataset = upload(owner, pack({"rows.jsonl": rows, "mine.png": factories.png()}))
    assert (dataset.is_usable, dataset.image_count, references.why_not_sent(dataset)) == (True, 4, "")
    fake_gateway.storage.objects["gs://team/a.png"] = b"x"
    assert sending.find_missing(dataset, always) == (
        "Line 3 of the dataset set refers to gs://team/b.png, which is not there. Add the image, or remove it from the"
        " row."
    )
    fake_gateway.storage.objects["gs://team/b.png"] = b"x"
    assert sending.find_missing(dataset, always) == ""
    assert fake_gateway.calls == ["storage.find_object"] * 4
    assert sending.find_missing(dataset, lambda: False) == ""
