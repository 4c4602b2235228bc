"""One person tries to reach what lies in another's folders of Cloud Storage, by every way that takes an address."""

import io
import json
import re
import uuid
from contextlib import suppress

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings
from django.utils import timezone

from jobs.errors import JobsError, NotAllowedNow
from jobs.models import Dataset, DeployedModel, Endpoint, SharedFolder, StorageListing, TuningDraft, TuningJob
from jobs.services.accounts import preferences
from jobs.services.datasets import datasets, references
from jobs.services.endpoints import deployed_models, endpoints
from jobs.services.endpoints.deployed_models import DeployedModelSpec
from jobs.services.endpoints.endpoints import DeploymentSpec
from jobs.services.storage import browsing, policies, sharing
from jobs.services.tuned_models import continuation
from jobs.services.tuning import job_files, jobs, output_check
from jobs.vertex import get_gateway
from tests.support import factories
from tests.support.localservers import TINY, TINY_FOLDER
from tests.support.row_driver import Driver
from tests.support.stored import path_of

pytestmark = [pytest.mark.django_db, pytest.mark.threat("T13", "T14")]
BUCKET = "gs://garden-local"
FINAL = "postprocess/node-0/checkpoints/final"
SECRET = "moby-dick"


@pytest.fixture
def ann(fake_gateway):
    """She has tuned a model: its folder and that of her dataset are in the bucket."""
    return owner_of_things(factories.user(username="ann"), fake_gateway.storage.objects)


def owner_of_things(ann, objects):
    folder = f"{policies.own_folder(ann)}/{SECRET}"
    job = factories.job(
        owner=ann, state="SUCCEEDED", phase="CLOSED", next_check_at=None, output_uri=folder, display_name=SECRET,
        checkpoints=[{"checkpoint_id": "1", "epoch": 1, "step": 5}],
    )  # fmt: skip
    objects[f"{folder}/{FINAL}/model.safetensors"] = b"weights"
    objects[f"{folder}/logs/train.log"] = b"log"
    objects[f"{BUCKET}/datasets/{job.dataset.pk}.jsonl"] = b"rows"
    return ann


@pytest.fixture
def job(ann):
    return TuningJob.objects.get(owner=ann)


@pytest.fixture
def bob(fake_gateway):
    return factories.user(username="bob")


@pytest.fixture
def visitor(client, bob, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    factories.publisher_model()
    client.force_login(bob)
    return client


def words(response):
    return " ".join(response.content.decode().split())


def places(job):
    """Hers, and what stands above it, in every spelling that somebody might let pass."""
    folder, own = job.output_uri, policies.own_folder(factories.user(username="bob"))
    name = folder.removeprefix(f"{BUCKET}/")
    plain = [folder, f"{folder}/", f"{folder}/{FINAL}", f"{folder}/{FINAL}/", f"{folder}/{FINAL}/model.safetensors"]
    above = [policies.own_folder(job.owner), f"{BUCKET}/datasets", f"{BUCKET}/datasets/{job.dataset.pk}.jsonl"]
    tricks = [
        f"{own}/../{job.owner.pk}/{SECRET}", f"{own}/..//{job.owner.pk}", f"{own}//../{job.owner.pk}/{SECRET}",
        f"{own}/%2e%2e/{job.owner.pk}/{SECRET}", f"{own}/..%2f{job.owner.pk}", f"{own}/\uff0e\uff0e/{job.owner.pk}",
        f"{own}\x00/../{job.owner.pk}", f"{own}?/../{job.owner.pk}", f"{own}#/../{job.owner.pk}", f"{own}/.",
        f"{BUCKET}//{name}", f"gs:///garden-local/{name}", f"GS://garden-local/{name}", f"gs://GARDEN-LOCAL/{name}",
        f"gs://garden-local\\{name}", f"{folder}//", f"{folder}/./{FINAL}", f"{folder}%2f{FINAL}", f" {folder}",
        f"{own}{job.owner.pk}", f"{own}x", own[: own.rindex("/")], f"gs://user@garden-local/{name}", f"{folder}\n",
    ]  # fmt: skip
    return plain + above + tricks


def nothing_was_made(gateway, bob):
    rows = [model.objects.filter(owner=bob).count() for model in (TuningJob, Endpoint, DeployedModel)]
    return (rows, gateway.ledger) == ([0, 0, 0], [])


def browsed(client, **query):
    """The page as it is once the worker looked."""
    response = client.get("/storage/browse/", {"into": "weights", **query})
    for page in StorageListing.objects.filter(fetched_at=None):
        browsing.run(page.pk, timezone.now())
    return words(response) + words(client.get("/storage/browse/", {"into": "weights", **query}))


def test_browsing_shows_nobody_elses_things(visitor, ann, bob, job, fake_gateway):
    fake_gateway.storage.buckets.add("bucket-of-others")
    shown = {uri: browsed(visitor, uri=uri) for uri in ["", BUCKET, f"{BUCKET}/tuning", *places(job)]}
    # What was typed is said again in the refusal; nothing that only the bucket knows is.
    hers = (SECRET, "safetensors", "bucket-of-others", "train.log", "checkpoints")
    assert [(uri, one) for uri, text in shown.items() for one in hers if one in text and one not in uri] == []
    assert "storage.list_buckets" not in fake_gateway.calls
    assert "storage.list_folder" not in fake_gateway.calls


def test_browsing_shows_the_way_to_ones_own(visitor, ann, bob, fake_gateway):
    own = policies.own_folder(bob)
    fake_gateway.storage.objects[f"{own}/mine/a.txt"] = b"1"
    for uri, name in (("", "garden-local"), (BUCKET, "tuning"), (f"{BUCKET}/tuning", "users"), (own, "mine")):
        text = browsed(visitor, uri=uri)
        links = [link.strip() for link in re.findall(r"<a\b[^>]*>([^<]*)</a>", text)]
        assert (name in links or f"{name}/" in links, SECRET in text) == (True, False)
    assert "Choose this folder" not in browsed(visitor, uri=BUCKET)
    assert "Choose this folder" in browsed(visitor, uri=own)


def test_a_right_that_ends_while_the_worker_is_asked_is_asked_for_again(owner, bob, fake_gateway):
    shared = sharing.share_folder(owner, uri=f"{BUCKET}/base", user=bob, may_write=False)
    fake_gateway.storage.objects[f"{BUCKET}/base/secret.txt"] = b"1"
    page, is_asked = browsing.ask(bob, f"{BUCKET}/base", "", timezone.now())
    sharing.unshare_folder(owner, shared.pk)
    browsing.run(page.pk, timezone.now())
    page.refresh_from_db()
    assert (is_asked, page.objects_found, page.error[:21]) == (True, [], "You have no access to")
    with pytest.raises(NotAllowedNow, match="You have no access to"):
        browsing.ask(bob, f"{BUCKET}/base", "", timezone.now())


def test_a_page_from_before_of_all_buckets_is_not_shown(visitor, bob):
    now = timezone.now()
    StorageListing.objects.create(owner=bob, uri="", folders=["bucket-of-others"], asked_at=now, fetched_at=now)
    StorageListing.objects.create(owner=bob, uri=BUCKET, folders=[SECRET], asked_at=now, fetched_at=now)
    assert "bucket-of-others" not in browsed(visitor)
    assert SECRET not in browsed(visitor, uri=BUCKET)


def test_deploying_from_a_form(visitor, ann, bob, job, fake_gateway):
    for uri in places(job):
        sent = {"key": str(uuid.uuid4()), "artifact_uri": uri, "display_name": "Mine"}
        response = visitor.post("/model-garden/deploy-weights/", sent)
        assert (uri, response.status_code) == (uri, 422)
    assert "You have no access to" in words(response) or "invisible character" in words(response)
    assert nothing_was_made(fake_gateway, bob)


def test_the_answer_is_the_same_for_what_is_not_there(visitor, job, fake_gateway):
    answers = []
    for name in (SECRET, "never-was"):
        uri = f"{policies.own_folder(job.owner)}/{name}/{FINAL}"
        sent = {"key": str(uuid.UUID(int=1)), "artifact_uri": uri, "display_name": "Mine"}
        form = visitor.post("/model-garden/deploy-weights/", sent).context["weights"]
        answers.append(str(form.errors).replace(name, "NAME"))
    assert answers[0] == answers[1]


def test_deploying_by_the_service(ann, bob, job, fake_gateway):
    endpoint = factories.ready_endpoint(owner=bob)
    specs = [{"artifact_uri": uri} for uri in places(job)] + [{"job": job}, {"job": job, "checkpoint": "1"}]
    for spec in specs:
        with pytest.raises(NotAllowedNow):
            endpoints.deploy_model(bob, key=uuid.uuid4(), spec=DeploymentSpec("Mine", **spec))
        with pytest.raises(NotAllowedNow):
            deployed_models.add(endpoint, key=uuid.uuid4(), spec=DeployedModelSpec("Mine", 10, **spec))
    endpoint.delete()
    assert nothing_was_made(fake_gateway, bob)


def test_deploying_again_what_is_not_shared_any_more(owner, bob, ann, job):
    shared = sharing.share_folder(owner, uri=job.output_uri, user=bob, may_write=False)
    spec = DeploymentSpec("Mine", artifact_uri=f"{job.output_uri}/{FINAL}")
    endpoint = endpoints.deploy_model(bob, key=uuid.uuid4(), spec=spec)
    endpoints.request_delete(endpoint)
    sharing.unshare_folder(owner, shared.pk)
    with pytest.raises(NotAllowedNow, match="You have no access to"):
        endpoints.deploy_again(endpoint)


def tuning_spec(user, **values):
    made = {"display_name": "Mine", "owner": user, "output_uri": f"{policies.own_folder(user)}/{uuid.uuid4()}"}
    return factories.tuning_spec(**made | values)


def test_going_on_from_anothers_tuning(ann, bob, job, fake_gateway):
    for uri in places(job):
        assert continuation.start_at(bob, uri) is None
        with pytest.raises(NotAllowedNow):
            jobs.create(bob, key=uuid.uuid4(), spec=tuning_spec(bob, custom_base_model=uri))
    assert (continuation.starts(bob), nothing_was_made(fake_gateway, bob)) == ([], True)
    assert continuation.start_at(ann, f"{job.output_uri}/{FINAL}").job == job


def test_writing_into_anothers_folder(ann, bob, job, fake_gateway):
    draft = factories.draft(owner=bob)
    for uri in [*places(job), BUCKET, f"{BUCKET}/tuning", f"{BUCKET}/anything", f"{BUCKET}/console-status"]:
        for attempt in (
            lambda uri=uri: jobs.create(bob, key=uuid.uuid4(), spec=tuning_spec(bob, output_uri=uri)),
            lambda uri=uri: output_check.ask(draft, uri, timezone.now()),
            lambda uri=uri: preferences.save_defaults(bob, output_prefix=uri),
        ):
            if uri == f"{policies.own_folder(bob)}/":
                continue
            with pytest.raises(NotAllowedNow):
                attempt()
    assert (nothing_was_made(fake_gateway, bob), fake_gateway.calls) == (True, [])
    assert (TuningDraft.objects.get().output_check, preferences.of(bob).defaults) == ({}, {})


def test_a_check_that_was_written_into_the_draft_asks_too(ann, bob, job, fake_gateway):
    known = {"uri": job.output_uri, "asked_at": timezone.now().isoformat()}
    draft = factories.draft(owner=bob, output_check=known)
    output_check.run(draft.pk, timezone.now())
    draft.refresh_from_db()
    assert (draft.output_check["problem"][:37], fake_gateway.calls) == ("You don't have permission to write to", [])


def test_a_job_file_with_anothers_addresses(visitor, ann, bob, job, fake_gateway):
    file = job_files.dump(job)
    file["base_model"]["custom_base_model"] = f"{job.output_uri}/{FINAL}"
    sent = SimpleUploadedFile("job.json", json.dumps(file).encode())
    place = visitor.post("/tuning/import/", {"file": sent})["Location"]
    draft = TuningDraft.objects.get(owner=bob)
    assert place.endswith("/base-model/")
    assert "Choose one of the models that you have tuned, or a checkpoint." in words(visitor.get(place))
    visitor.post(place, {"base_model": factories.BASE_MODEL})
    page = words(visitor.get(f"/tuning/drafts/{draft.pk}/output/"))
    own = draft.data["output"]["output_uri"]
    assert (f'value="{job.output_uri}"' in page, f'value="{own}"' in page) == (False, True)
    visitor.post(f"/tuning/drafts/{draft.pk}/output/", {"output_uri": f"{policies.own_folder(bob)}/mine"})
    page = words(visitor.get(f"/tuning/drafts/{draft.pk}/training/"))
    assert str(job.dataset.pk) not in page
    visitor.post(f"/tuning/drafts/{draft.pk}/start/", {})
    assert nothing_was_made(fake_gateway, bob)


def test_choosing_a_folder_reads_nothing(visitor, job, fake_gateway):
    query = {"into": "weights", "uri": job.output_uri}
    assert visitor.get("/storage/choose/", query).status_code == 303
    assert fake_gateway.calls == []


def test_what_is_proposed_may_be_written_to(visitor, bob):
    preferences.save(bob, defaults={"output_prefix": f"{BUCKET}/from-before"})
    done = {
        "name": {"display_name": "Ahoy", "sent": 1},
        "base-model": {"base_model": factories.BASE_MODEL, "sent": 1},
    }
    draft = factories.draft(owner=bob, data=done)
    form = visitor.get(f"/tuning/drafts/{draft.pk}/output/").context["form"]
    uri = form["output_uri"].value()
    assert (uri.startswith(f"{policies.own_folder(bob)}/ahoy-"), policies.why_not_write(bob, uri)) == (True, "")


def test_a_default_outside_is_kept_in_the_form_with_the_reason(visitor, bob):
    response = visitor.post("/settings/defaults/", {"output_prefix": f"{BUCKET}/tuning"})
    assert (response.status_code, f'value="{BUCKET}/tuning"' in words(response)) == (422, True)
    assert (
        response.context["form"]
        .errors["output_prefix"][0]
        .startswith(f"You don't have permission to write to {BUCKET}/tuning.")
    )


REFERENCES = [
    {"prompt": "Hello?", "completion": "Ahoy!", "extra": {"image_url": {"url": "URI"}}},
    {"prompt": "Hello?", "completion": "Ahoy!", "image_url": "URI"},
    {"prompt": "Hello?", "completion": "Ahoy!", "x": [[{"fileData": {"mimeType": "image/png", "fileUri": "URI"}}]]},
    {"messages": [
        {"role": "user", "content": [{"type": "text", "text": "Hello?", "image_url": {"url": "URI"}}]},
        {"role": "assistant", "content": "Ahoy!"},
    ]},
    {"contents": [
        {"role": "user", "parts": [{"text": "Hello?", "file_data": {"file_uri": "URI"}}]},
        {"role": "model", "parts": [{"text": "Ahoy!"}]},
    ]},
]  # fmt: skip


def lines(row, uri):
    """As it is, and with the escapes that JSON may have."""
    text = json.dumps(row)
    escaped = [uri, uri.replace("/", "\\/"), "\\u0067" + uri[1:], "g\\u0073\\u003a\\u002f\\u002f" + uri[5:]]
    return [text.replace("URI", written).encode() + b"\n" for written in escaped]


@pytest.mark.parametrize("row", REFERENCES)
def test_a_row_that_names_an_object_is_not_taken(bob, ann, job, row):
    """Where no image is expected, whosever it is: a server may look at every field."""
    for line in lines(row, f"{job.output_uri}/image.png"):
        dataset = datasets.create(bob, file=io.BytesIO(line), file_name="rows.jsonl")
        assert (dataset.is_usable, dataset.problems[0]["problem"]) == (False, "This part is an image or a file.")
        with pytest.raises(NotAllowedNow):
            jobs.create(bob, key=uuid.uuid4(), spec=tuning_spec(bob, dataset=dataset))


IMAGE_ROWS = [
    {"messages": [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "URI"}}]},
        {"role": "assistant", "content": "Ahoy!"},
    ]},
    {"contents": [
        {"role": "user", "parts": [{"fileData": {"mimeType": "image/png", "fileUri": "URI"}}]},
        {"role": "model", "parts": [{"text": "Ahoy!"}]},
    ]},
]  # fmt: skip


@pytest.mark.parametrize("row", IMAGE_ROWS)
def test_an_image_of_somebody_else_is_not_taken(bob, ann, job, fake_gateway, row):
    """Nor sent, when the right to it was taken away after the row was checked."""
    for line in lines(row, f"{job.output_uri}/image.png"):
        own, theirs = (datasets.create(who, file=io.BytesIO(line), file_name="rows.jsonl") for who in (job.owner, bob))
        assert (own.is_usable, theirs.is_usable) == (True, False)
        assert theirs.problems[0]["problem"].startswith(f"You have no access to {job.output_uri}/image.png.")
        kept = factories.dataset(owner=bob, image_count=1)
        path_of(kept).write_bytes(line)
        assert references.why_not_sent(kept).startswith(f"Line 1 of the dataset Questions refers to {job.output_uri}/")


def test_an_address_in_a_text_is_a_text(bob):
    row = {"prompt": "Where is gs://garden-local/x?", "completion": "In gs://garden-local.", "source": "gs://a/b"}
    dataset = datasets.create(bob, file=io.BytesIO(json.dumps(row).encode()), file_name="rows.jsonl")
    assert (dataset.is_usable, references.why_not_sent(dataset)) == (True, "")


@pytest.mark.parametrize("row", REFERENCES)
def test_a_dataset_from_before_is_looked_through_before_it_is_sent(bob, ann, job, fake_gateway, row):
    for line in lines(row, f"{job.output_uri}/image.png"):
        dataset = factories.dataset(owner=bob, uploaded_uri="")
        path_of(dataset).write_bytes(b'{"prompt": "a", "completion": "b"}\n' + line)
        started = jobs.create(bob, key=uuid.uuid4(), spec=tuning_spec(bob, dataset=dataset))
        Driver().rest(started)
        started.refresh_from_db()
        assert started.error_message == (
            f"Line 2 of the dataset Questions refers to {job.output_uri}/image.png, which you don't have "
            "permission to read. Remove the reference from the file. Upload the file again."
        )
    assert (fake_gateway.ledger, fake_gateway.calls) == ([], [])


def test_a_dataset_from_before_with_ones_own_images_is_sent(ann, job):
    dataset = factories.dataset(owner=ann)
    path_of(dataset).write_bytes(lines(REFERENCES[0], f"{job.output_uri}/image.png")[0])
    assert references.why_not_sent(dataset) == ""


def test_training_on_anothers_dataset(bob, ann, job, fake_gateway):
    mine = factories.dataset(owner=bob)
    for pair in ({"dataset": job.dataset}, {"dataset": mine, "validation_dataset": job.dataset}):
        with pytest.raises(NotAllowedNow, match=r"^You no longer have this dataset\."):
            jobs.create(bob, key=uuid.uuid4(), spec=tuning_spec(bob, **pair))
    assert nothing_was_made(fake_gateway, bob)


@pytest.mark.parametrize("below", ["", "/a", "/a/b"])
@pytest.mark.parametrize("theirs", ["", "/a", "/a/b", "/a/b/c"])
def test_two_people_claim_no_folders_that_overlap(owner, ann, bob, below, theirs):
    sharing.share_folder(owner, uri="gs://team-bucket/all", user=None, may_write=True)
    jobs.create(ann, key=uuid.uuid4(), spec=tuning_spec(ann, output_uri=f"gs://team-bucket/all/run{below}"))
    with pytest.raises(NotAllowedNow):
        jobs.create(bob, key=uuid.uuid4(), spec=tuning_spec(bob, output_uri=f"gs://team-bucket/all/run{theirs}"))
    with pytest.raises(NotAllowedNow):
        jobs.create(owner, key=uuid.uuid4(), spec=tuning_spec(owner, output_uri=f"gs://team-bucket/all/run{theirs}"))
    free = f"gs://team-bucket/all/run2{theirs}"
    assert jobs.create(bob, key=uuid.uuid4(), spec=tuning_spec(bob, output_uri=free)).output_uri == free
    assert SharedFolder.objects.count() == 1


@pytest.mark.parametrize("into", ["weights", "defaults"])
def test_every_field_browses_by_the_same_rule(visitor, job, into):
    text = words(visitor.get("/storage/browse/", {"into": into, "uri": job.output_uri}))
    assert f"You have no access to {job.output_uri}." in text


@pytest.fixture
def real_servers(local_vertex, settings, monkeypatch):
    settings.VERTEX_GATEWAY = "jobs.vertex.sdk.Gateway"
    get_gateway.cache_clear()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", local_vertex.storage)
    with override_settings(VERTEX_API_ENDPOINT=local_vertex.address):
        yield local_vertex
    get_gateway.cache_clear()


def ledger(servers):
    path = servers.folder / "vertex/ledger.jsonl"
    return [json.loads(line)["method"] for line in path.read_text().splitlines()] if path.exists() else []


def test_against_the_local_servers(client, real_servers, db):
    """He browses, deploys, and goes on from what she tuned: refused in words, and no server was asked for anything."""
    ann, bob = factories.user(username="ann"), factories.user(username="bob")
    storage = get_gateway().storage
    job = TuningJob.objects.get(owner=owner_of_things(ann, {}))
    storage.ensure_bucket(BUCKET)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        storage.upload(TINY_FOLDER / name, f"{job.output_uri}/{FINAL}/{name}")
    TuningJob.objects.update(base_model=TINY)
    before = ledger(real_servers)

    client.force_login(bob)
    for uri in ["", BUCKET, f"{BUCKET}/tuning", f"{BUCKET}/tuning/users", *places(job)]:
        text = browsed(client, uri=uri)
        assert (uri, [one for one in (SECRET, "safetensors") if one in text and one not in uri]) == (uri, [])
    for uri in (job.output_uri, f"{job.output_uri}/{FINAL}"):
        sent = {"key": str(uuid.uuid4()), "artifact_uri": uri, "display_name": "Mine"}
        refused = client.post("/model-garden/deploy-weights/", sent)
        assert (refused.status_code, f"You have no access to {uri}." in words(refused)) == (422, True)
        with pytest.raises(NotAllowedNow, match="Choose one of the models that you have tuned"):
            jobs.create(bob, key=uuid.uuid4(), spec=tuning_spec(bob, custom_base_model=uri))
    assert [model.objects.filter(owner=bob).count() for model in (TuningJob, Endpoint)] == [0, 0]
    assert ledger(real_servers) == before

    client.force_login(ann)
    assert "model.safetensors" in browsed(client, uri=f"{job.output_uri}/{FINAL}")
    spec = DeploymentSpec("Hers", artifact_uri=f"{job.output_uri}/{FINAL}")
    endpoint = endpoints.deploy_model(ann, key=uuid.uuid4(), spec=spec)
    driver = Driver()
    driver.until(endpoint, phase="BOUND")
    assert len(ledger(real_servers)) > len(before)
    endpoints.request_delete(endpoint)
    with suppress(JobsError):
        driver.step(endpoint)


@pytest.mark.parametrize("path", ["datasets", "weights"])
def test_the_objects_of_a_dataset_are_its_owners(ann, bob, job, path):
    uri = f"{BUCKET}/datasets/{job.dataset.pk}.jsonl" if path == "datasets" else f"{job.output_uri}/{FINAL}"
    assert (policies.why_not_read(ann, uri), policies.why_not_read(bob, uri)[:21]) == ("", "You have no access to")
    assert Dataset.objects.visible_to(bob).count() == 0
