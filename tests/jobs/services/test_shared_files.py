"""A second container without a common disk: what one of them was given, the other has."""

import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs.errors import StoreUnavailable
from jobs.files import copies, store
from jobs.models import Dataset, Installation, Picture, ProbeResult, TuningJob
from jobs.services.chat import conversations, images
from jobs.services.chat.streaming import answer as chat_answer
from jobs.services.datasets import datasets, derive, sweep
from jobs.services.datasets.preview import page_of_rows
from jobs.services.health import probes, status
from jobs.services.storage import file_owner
from jobs.services.tuning import jobs
from tests.fakes import FakeGateway
from tests.support import factories
from tests.support.localservers import free_port
from tests.support.row_driver import Driver
from tests.support.stored import path_of
from tests.support.stores import KEYS, LONG, s3_store, use

pytestmark = pytest.mark.django_db
SEES = "google/gemma3@gemma-3-4b-it"
ROWS = b"".join(b'{"prompt": "Ahoy", "completion": "Arr %d"}\n' % number for number in range(20))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3_store(tmp_path_factory.mktemp("s3")) as url:
        yield url


@pytest.fixture
def address(server: str) -> str:
    """A folder of its own."""
    return server.replace("some/folder", uuid4().hex)


@pytest.fixture(autouse=True)
def _s3(settings: Any, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    use(settings, address, LONG)


@pytest.fixture
def elsewhere(settings: Any, tmp_path: Path) -> Any:
    """From here on this is another container."""

    def move() -> None:
        settings.DATA_DIR = tmp_path / uuid4().hex
        settings.DATA_DIR.mkdir()

    return move


def make_dataset(owner: User, rows: bytes = ROWS) -> Dataset:
    return datasets.create(owner, file=io.BytesIO(rows), file_name="rows.jsonl", name="Questions")


def start(owner: User, dataset: Dataset) -> TuningJob:
    spec = factories.tuning_spec(dataset=dataset, output_uri=f"gs://garden-local/out/{uuid4()}")
    return jobs.create(owner, key=uuid4(), spec=spec)


def test_a_dataset_of_one_is_read_trained_on_split_and_deleted_by_another(
    owner: User, elsewhere: Any, fake_gateway: FakeGateway
) -> None:
    dataset = make_dataset(owner)
    elsewhere()
    assert [row.line for row in page_of_rows(dataset, 19).rows] == [19, 20]
    job = Driver().until(start(owner, dataset), phase="BOUND")
    assert ROWS in fake_gateway.storage.objects.values()
    assert job.error_message == ""
    train, validation = derive.split(dataset, share=10, seed=1)
    elsewhere()
    assert store.read(train.stored_name).count(b"\n") + store.read(validation.stored_name).count(b"\n") == 20
    assert make_dataset(owner, ROWS + ROWS[:1].replace(b"{", b'{"prompt": "New", "completion": "Row"}')).version == 2
    datasets.delete(train)
    assert store.exists(validation.stored_name)


def test_a_conversion_goes_through(owner: User, elsewhere: Any) -> None:
    table = datasets.create(owner, file=io.BytesIO(b"prompt,completion\nHello?,Ahoy!\n"), file_name="rows.csv")
    elsewhere()
    made = derive.convert(table, name="Rows", columns=None, leave_out=False).made
    elsewhere()
    assert made is not None
    assert store.read(made.stored_name) == b'{"prompt": "Hello?", "completion": "Ahoy!"}\n'


def test_a_picture_of_one_is_sent_by_another(elsewhere: Any, fake_gateway: FakeGateway) -> None:
    endpoint = factories.ready_endpoint(base_model=SEES)
    talk = factories.conversation(endpoint=endpoint, title="")
    picture = add_image_file(talk.owner)
    answer = conversations.ask(talk, key=uuid4(), text="What is it?", pictures=[picture])
    elsewhere()
    request = chat_answer.request_for(answer)
    assert request.messages[0]["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")


def add_image_file(owner: User) -> Picture:
    content = factories.png()
    return images.add(owner, file=io.BytesIO(content), size=len(content), name="a.png")


def test_what_nobody_names_is_swept_and_the_rest_stays(owner: User) -> None:
    dataset, kept, loose = make_dataset(owner), add_image_file(owner), f"pictures/ab/{'ab' * 32}"
    store.save(loose, b"left behind")
    images.prune(timezone.now() + timedelta(hours=2))
    assert store.exists(loose)
    images.prune(timezone.now())
    assert store.exists(loose)
    images.prune(timezone.now() + timedelta(hours=2))
    found = [store.exists(name) for name in (loose, kept.stored_name, dataset.stored_name)]
    assert found == [False, True, True]


def test_the_store_is_tried_every_minute(settings: Any, address: str, fake_gateway: FakeGateway) -> None:
    def found() -> tuple[str, str, dict[str, str]]:
        probes.run(timezone.now() + timedelta(seconds=5 * ProbeResult.objects.count()))
        kept = ProbeResult.objects.get(name="files")
        return kept.state, kept.detail, {step["name"]: step["state"] for step in kept.facts["steps"]}

    assert found() == ("ok", "", dict.fromkeys(("write", "read", "delete"), "ok"))
    assert list(store.walk("owner")) == []
    assert [part.name for part in status.list_services(timezone.now())].count("files") == 1
    use(settings, f"s3://console-files/away?endpoint_url=http://127.0.0.1:{free_port()}")
    assert found() == (
        "failed", "The file store does not answer. Try again in a moment.",
        {"write": "failed", "read": "unknown", "delete": "unknown"},
    )  # fmt: skip
    use(settings, "")
    assert "files" not in [part.name for part in status.list_services(timezone.now())]


def test_the_files_of_another_console_are_left_alone(owner: User) -> None:
    """It was given the same place, or it has a new database beside files of an old one."""
    lost = f"datasets/{uuid4()}.jsonl"
    store.save(lost, b"theirs")
    assert not file_owner.may_sweep()
    assert file_owner.may_sweep()
    Installation.objects.all().delete()
    sweep.prune(timezone.now() + timedelta(days=3))
    images.prune(timezone.now() + timedelta(days=3))
    assert store.exists(lost)


def test_a_dataset_is_deleted_while_the_store_is_away(owner: User, settings: Any, address: str) -> None:
    dataset = make_dataset(owner)
    use(settings, f"s3://console-files/away?endpoint_url=http://127.0.0.1:{free_port()}")
    datasets.delete(dataset)
    with pytest.raises(StoreUnavailable):
        make_dataset(owner)
    assert Dataset.objects.count() == 0
    use(settings, address, LONG)
    assert store.exists(dataset.stored_name)


def test_a_job_waits_for_a_store_that_is_away(
    owner: User, settings: Any, address: str, fake_gateway: FakeGateway
) -> None:
    driver, dataset = Driver(), make_dataset(owner)
    job = start(owner, dataset)
    use(settings, f"s3://console-files/away?endpoint_url=http://127.0.0.1:{free_port()}")
    job = driver.step(job)
    assert (job.state, job.notice) == ("QUEUED", "The file store does not answer. Try again in a moment.")
    use(settings, address, LONG)
    assert driver.until(job, phase="BOUND").error_message == ""


def test_a_console_that_grows_out_of_one_machine_takes_its_files_along(
    owner: User, settings: Any, address: str
) -> None:
    use(settings, "")
    dataset, picture = make_dataset(owner), add_image_file(owner)
    use(settings, address, LONG)
    assert dict(copies.copy_from_folder()) == {dataset.stored_name: True, picture.stored_name: True}
    assert dict(copies.copy_from_folder()) == {dataset.stored_name: False, picture.stored_name: False}
    assert store.read(dataset.stored_name) == path_of(dataset).read_bytes()
    assert path_of(picture).exists()
