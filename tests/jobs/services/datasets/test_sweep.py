import os
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from jobs.files import store
from jobs.services.datasets import sweep
from tests.support import factories
from tests.support.stored import path_of

pytestmark = pytest.mark.django_db


def test_what_no_row_names_is_taken_away_after_a_day():
    dataset = factories.dataset()
    lost, young, half = (f"datasets/{name}" for name in (f"{uuid4()}.jsonl", f"{uuid4()}.source", ".ab.partial"))
    for name in (lost, young, "datasets/readme.txt"):
        store.save(name, b"{}")
    folder = path_of(dataset).parent
    (folder / ".ab.partial").write_bytes(b"half")
    (folder / "Mine.txt").write_text("somebody's own")
    for path in folder.iterdir():
        if path.name != young.rpartition("/")[2]:
            os.utime(path, (0, 0))
    sweep.prune(timezone.now())
    left = {found.name for found in store.walk("datasets")}
    assert left == {dataset.stored_name, young, "datasets/readme.txt", "datasets/Mine.txt"}
    assert half not in left
    sweep.prune(timezone.now() + timedelta(days=2))
    assert not store.exists(young)
    assert store.exists(dataset.stored_name)
