import io
import os
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs.files import store
from jobs.services.datasets import datasets
from jobs.services.datasets.images import kept, uploads
from tests.support.stored import path_of
from tests.support.zips import pack_images

pytestmark = pytest.mark.django_db


def test_files_stay_while_a_dataset_names_them(owner: User) -> None:
    first, second = (
        uploads.create(owner, io.BytesIO(pack_images(*names)), "set.zip", names[0])[0]
        for names in (("a.png", "b.png"), ("a.png",))
    )
    folder = path_of(first).parents[1] / "dataset-images" / str(owner.pk)
    (folder / "somebody-elses.txt").write_text("mine")
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    files = set(first.images.values_list("file", flat=True))
    kept.prune(timezone.now())
    assert {path.name for path in folder.iterdir()} == files | {"somebody-elses.txt"}
    datasets.delete(first)
    kept.prune(timezone.now())
    left = second.images.get().file
    assert {path.name for path in folder.iterdir()} == {left, "somebody-elses.txt"}
    assert kept.read(owner.pk, left) == store.read(f"dataset-images/{owner.pk}/{left}")


def test_a_file_is_there_before_its_row(owner: User) -> None:
    dataset = uploads.create(owner, io.BytesIO(pack_images("a.png")), "set.zip")[0]
    datasets.delete(dataset)
    for hours, count in ((0, 1), (25, 0)):
        kept.prune(timezone.now() + timedelta(hours=hours))
        assert len(list(store.walk("dataset-images"))) == count
