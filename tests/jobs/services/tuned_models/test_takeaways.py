import hashlib
import io
import tarfile
from datetime import timedelta

import pytest

from jobs import errors
from jobs.files import store
from jobs.models import OutputListing, Takeaway
from jobs.services.storage import output_files
from jobs.services.tuned_models import choices, engine, takeaways
from jobs.services.tuned_models.content import Content, of_archive, of_file
from tests.support import factories

pytestmark = pytest.mark.django_db
RESULTS = "postprocess/node-0/checkpoints"
LORA = {
    "final/config.json": b"{}",
    "final/model.safetensors": b"W" * 3000,
    "final/adapter/adapter_config.json": b"{}",
    "final/adapter/adapter_model.safetensors": b"A" * 700,
    "checkpoint-25/adapter_config.json": b"{}",
    "checkpoint-25/adapter_model.safetensors": b"C" * 512,
}


def tuned(gateway, files=LORA, **values):
    job = factories.job(**{"state": "SUCCEEDED", **values})
    gateway.storage.objects |= {f"{job.output_uri}/{RESULTS}/{name}": body for name, body in files.items()}
    gateway.storage.objects[f"{job.output_uri}/logs/train.log"] = b"loss"
    output_files.ask(job, factories.NOW)
    output_files.run(job.pk, factories.NOW)
    return job


def offered(job):
    return choices.list_choices(job, OutputListing.objects.get(job=job))


def prepared(job, user, form):
    """`form`: the first of this name, or a choice."""
    choice = next((one for one in offered(job) if one.form == form), form)
    row = takeaways.prepare(job, user, choice)
    while takeaways.advance(row.pk, factories.NOW):
        pass
    row.refresh_from_db()
    return row


def test_each_file_is_read_once_and_known_by_its_checksum(fake_gateway, owner):
    job = tuned(fake_gateway)
    row = prepared(job, owner, "merged")
    assert (row.state, row.done_bytes, row.total_bytes) == ("READY", 3002, 3002)
    assert [(one["name"], one["sha256"]) for one in row.files] == [
        (name, hashlib.sha256(LORA[f"final/{name}"]).hexdigest()) for name in ("config.json", "model.safetensors")
    ]
    assert fake_gateway.calls.count("storage.read_range") == 2
    assert prepared(job, owner, "merged").pk == row.pk
    assert fake_gateway.calls.count("storage.read_range") == 2


def test_an_archive_is_one_tar_file_of_the_files(fake_gateway, owner):
    row = prepared(tuned(fake_gateway), owner, "adapter")
    content = Content(of_archive(row.files, "mine"))
    whole = io.BufferedReader(content).read()
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        found = {one.name: archive.extractfile(one).read() for one in archive.getmembers()}
    assert found == {
        "mine/adapter_config.json": b"{}",
        "mine/adapter_model.safetensors": b"A" * 700,
    }


@pytest.mark.parametrize("at", [0, 1, 511, 512, 513, 1024, 1030, 2047, 2048, 3000])
def test_an_archive_goes_on_from_any_byte(fake_gateway, owner, at):
    row = prepared(tuned(fake_gateway), owner, "adapter")
    whole = Content(of_archive(row.files, "mine")).readall()
    part = Content(of_archive(row.files, "mine"))
    part.seek(at)
    assert part.readall() == whole[at:]


def test_what_is_taken_is_a_copy_that_the_worker_made(fake_gateway, owner):
    row = prepared(tuned(fake_gateway), owner, "merged")
    fake_gateway.storage.objects.clear()
    before = len(fake_gateway.calls)
    assert [Content([of_file(one)]).readall() for one in row.files] == [b"{}", b"W" * 3000]
    assert len(fake_gateway.calls) == before


def test_bytes_that_were_written_anew_are_not_mixed_with_the_old(fake_gateway):
    job = tuned(fake_gateway)
    uri = f"{job.output_uri}/{RESULTS}/final/model.safetensors"
    found = fake_gateway.storage.find_object(uri)
    file = {"name": "x", "size": found.size, "source": uri, "version": found.version}
    fake_gateway.storage.objects[uri] = b"X" * 3000
    with pytest.raises(errors.StoreUnavailable, match="written anew"):
        Content([of_file(file)]).readall()


def test_what_failed_on_the_way_leaves_no_copies(fake_gateway, owner):
    job = tuned(fake_gateway)
    row = takeaways.prepare(job, owner, offered(job)[0])
    takeaways.advance(row.pk, factories.NOW)
    assert len(list(store.walk("takeaways"))) == 1
    fake_gateway.storage.objects.clear()
    takeaways.advance(row.pk, factories.NOW)
    row.refresh_from_db()
    assert (row.state, list(store.walk("takeaways"))) == ("FAILED", [])


def test_what_is_removed_while_it_is_prepared_leaves_no_copies(fake_gateway, owner):
    job = tuned(fake_gateway)
    row = takeaways.prepare(job, owner, offered(job)[0])
    fake_gateway.hooks["storage.read_range"] = [lambda: Takeaway.objects.all().delete()]
    assert takeaways.advance(row.pk, factories.NOW) is False
    assert list(store.walk("takeaways")) == []


def test_what_is_gone_meanwhile_is_said_and_can_be_asked_for_again(fake_gateway, owner):
    job = tuned(fake_gateway)
    choice = offered(job)[0]
    uri = f"{choice.folder}/model.safetensors"
    body = fake_gateway.storage.objects.pop(uri)
    row = prepared(job, owner, "merged")
    assert (row.state, row.error) == ("FAILED", f"{uri} is not there any more. Look at the folder again.")
    fake_gateway.storage.objects[uri] = body
    assert prepared(job, owner, "merged").state == "READY"


def test_two_workers_do_not_prepare_the_same(fake_gateway, owner):
    job = tuned(fake_gateway)
    row = takeaways.prepare(job, owner, offered(job)[0])
    Takeaway.objects.update(lease_until=factories.NOW + timedelta(seconds=1))
    assert (takeaways.advance(row.pk, factories.NOW), takeaways.due(factories.NOW)) == (False, [])
    later = factories.NOW + timedelta(seconds=2)
    assert (takeaways.due(later), takeaways.advance(row.pk, later)) == ([row.pk], True)


def test_a_folder_that_may_not_be_read_is_not_taken_away(fake_gateway, stranger):
    job = tuned(fake_gateway)
    with pytest.raises(errors.NotAllowedNow, match="You have no access"):
        takeaways.prepare(job, stranger, offered(job)[0])
    assert Takeaway.objects.count() == 0


def test_what_was_made_here_is_gone_after_a_day_and_the_jobs_own_files_stay(fake_gateway, owner):
    job = tuned(fake_gateway)
    name = "takeaways/one.model.gguf"
    store.save(name, b"GGUF")
    files = [{"name": "model.gguf", "size": 4, "source": name, "version": "", "sha256": "0"}]
    factory = {"owner": owner, "job": job, "folder": "gs://bucket/x", "state": "READY"}
    Takeaway.objects.create(form="gguf-f16", files=files, created_at=factories.NOW, **factory)
    assert Content([of_file(files[0])]).readall() == b"GGUF"
    takeaways.prune(factories.NOW + timedelta(hours=23))
    assert store.exists(name)
    before = dict(fake_gateway.storage.objects)
    takeaways.prune(factories.NOW + timedelta(hours=25))
    assert (store.exists(name), Takeaway.objects.count(), fake_gateway.storage.objects) == (False, 0, before)


def test_downloads_at_once_are_few():
    slots = takeaways.Slots(most=3, each=2)
    slots.take(1)
    slots.take(1)
    slots.take(2)
    for person in (1, 2):
        with pytest.raises(errors.NotAllowedNow):
            slots.take(person)
    slots.release(1)
    slots.take(2)


def test_the_child_gets_no_secret_of_the_worker(monkeypatch):
    for name in ("CONSOLE_SECRET_KEY", "DATABASE_URL", "REDIS_URL", "GOOGLE_APPLICATION_CREDENTIALS", "SOMETHING_ELSE"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("PATH", "/usr/bin")
    given = engine.child_environment()
    assert (given["PATH"], given["HF_HUB_OFFLINE"], "secret" in given.values()) == ("/usr/bin", "1", False)
