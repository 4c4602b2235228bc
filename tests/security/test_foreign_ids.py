"""Every field of a form, and every part of a query, that takes the id of a thing: somebody else's is answered like one
that never was, and nothing of theirs is shown, used or changed."""

import re
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from jobs.errors import NotAllowedNow
from jobs.models import ChatPreset, Conversation, Dataset, Endpoint, Message, Metric, Picture, TuningJob
from jobs.services.chat import conversations
from jobs.services.comparisons import comparisons
from tests.support import factories
from tests.support.share import one_of

pytestmark = [pytest.mark.django_db, pytest.mark.threat("T14")]
CHECKPOINTS = [{"checkpoint_id": "1", "epoch": 1, "step": 5}, {"checkpoint_id": "2", "epoch": 2, "step": 9}]
SECRET = "Moby Dick"


def things_of(who, name):
    """One of each kind, with its name in all that has one."""
    job = factories.job(
        owner=who, display_name=name, state="SUCCEEDED", checkpoints=CHECKPOINTS, dataset=dataset_of(who, name),
        output_uri=f"gs://garden-local/tuning/users/{who.pk}/{who.username}", tuning_mode="FULL", adapter_size=None,
    )  # fmt: skip
    running = factories.job(owner=who, display_name=name, state="RUNNING", phase="BOUND", dataset=job.dataset)
    Metric.objects.create(job=running, tag="/train_total_loss", step=1, value=len(name), wall_time=factories.NOW)
    endpoint = factories.ready_endpoint(owner=who, display_name=name)
    factories.ready_endpoint(owner=who, display_name=f"{name} again")
    talk = factories.conversation(owner=who, endpoint=endpoint, title=name)
    question = factories.message(conversation=talk, content=name)
    answer = factories.message(conversation=talk, role="assistant", content=name)
    comparison = factories.comparison(owner=who)
    columns = [
        factories.conversation(owner=who, endpoint=endpoint, comparison=comparison, column=place) for place in range(2)
    ]
    return SimpleNamespace(
        job=job, running=running, dataset=job.dataset, endpoint=endpoint, talk=talk, question=question, answer=answer,
        comparison=comparison, column=columns[0], picture=factories.picture(owner=who, name=f"{name}.png"),
        preset=ChatPreset.objects.create(owner=who, name=name, parameters={"temperature": 0.5}), draft=draft_of(who),
    )  # fmt: skip


def dataset_of(who, name):
    return factories.dataset(owner=who, name=name)


def draft_of(who):
    done = {
        "name": {"display_name": "Ahoy", "sent": True},
        "base-model": {"base_model": factories.BASE_MODEL, "sent": True},
        "output": {"output_uri": f"gs://garden-local/tuning/users/{who.pk}/next", "sent": True},
    }
    return factories.draft(owner=who, data=done)


@pytest.fixture
def ann():
    return things_of(factories.user(username="ann"), SECRET)


@pytest.fixture
def bob():
    return things_of(factories.user(username="bob"), "Mine")


@pytest.fixture
def visitor(client, ann, bob, fake_gateway, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    factories.publisher_model()
    client.force_login(bob.talk.owner)
    return client


KEY = str(uuid.UUID(int=7))
TRY = "/publishers/google/model-garden/gemma3/try/"
TRAINING = {"epochs": "2", "learning_rate_kind": "absolute", "learning_rate": "0.0002", "learning_rate_multiplier": "1"}
TRAINING |= {"tuning_mode": "PEFT_ADAPTER", "adapter_size": "8"}


def file():
    return SimpleUploadedFile("red.png", factories.png())


# What is sent, by the method, the address of what is one's own, and the fields; ID stands for the id.
FIELDS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "new chat": ("endpoint", "post", "/studio/chat/", {"endpoint": "ID", "text": "Ahoy", "key": KEY}),
    "set up a chat": ("endpoint", "post", "/studio/chat/", {"endpoint": "ID", "text": "", "key": KEY, "set-up": "1"}),
    "new chat by link": ("endpoint", "get", "/studio/chat/", {"endpoint": "ID"}),
    "question taken over": ("question", "get", "/studio/chat/", {"question": "ID"}),
    "endpoint of a chat": ("endpoint", "post", "/studio/chat/{talk}/endpoint/", {"endpoint": "ID"}),
    "picture of a message": (
        "picture", "post", "/studio/chat/{talk}/send/", {"picture": "ID", "text": "", "key": KEY},
    ),
    "picture of a comparison": (
        "picture", "post", "/studio/compare/{comparison}/send/", {"picture": "ID", "text": "", "key": KEY},
    ),
    "preset used": ("preset", "post", "/studio/chat/{talk}/presets/use/", {"preset": "ID"}),
    "preset deleted": ("preset", "post", "/studio/chat/{talk}/presets/delete/", {"preset": "ID"}),
    "dataset of a row": (
        "dataset", "post", "/studio/chat/turns/{answer}/row/", {"dataset": "ID", "text": "Arr", "name": "", "key": KEY},
    ),
    "tried model": (
        "endpoint", "post", TRY, {"endpoint": "ID", "text": "Ahoy", "key": KEY, "variant": factories.BASE_MODEL},
    ),
    "compared left": ("endpoint", "post", "/studio/compare/", {"a": "ID", "b": "{endpoint}", "key": KEY}),
    "compared right": ("endpoint", "post", "/studio/compare/", {"a": "{endpoint}", "b": "ID", "key": KEY}),
    "compared third": (
        "endpoint", "post", "/studio/compare/", {"a": "{endpoint}", "b": "{endpoint}", "c": "ID", "key": KEY},
    ),
    "compared by link": ("endpoint", "get", "/studio/compare/", {"endpoint": "ID"}),
    "compared with its base": ("endpoint", "post", "/studio/compare/base/", {"endpoint": "ID", "key": KEY}),
    "column added": ("endpoint", "post", "/studio/compare/{comparison}/add/", {"endpoint": "ID"}),
    "column changed": ("endpoint", "post", "/studio/compare/columns/{column}/endpoint/", {"endpoint": "ID"}),
    "vote": ("column", "post", "/studio/compare/{comparison}/vote/", {"round": "1", "winner": "ID"}),
    "training data": ("dataset", "post", "/tuning/drafts/{draft}/training/", {"dataset": "ID", **TRAINING}),
    "validation data": (
        "dataset", "post", "/tuning/drafts/{draft}/training/",
        {"dataset": "{dataset}", "use_validation": "on", "validation_dataset": "ID", **TRAINING},
    ),
    "training data previewed": ("dataset", "get", "/tuning/drafts/{draft}/training/", {"dataset": "ID", "epochs": "2"}),
    "jobs asked to cancel": ("running", "get", "/tuning/cancel/", {"job": "ID"}),
    "jobs cancelled": ("running", "post", "/tuning/cancel/", {"job": "ID"}),
    "jobs compared": ("running", "get", "/tuning/compare/", {"job": ["ID", "{job}"]}),
    "figures compared": ("running", "get", "/tuning/compare/metrics.json", {"job": ["ID", "{job}"]}),
    "model beside others": (
        "job", "post", "/endpoints/{endpoint}/models/add/", {"model": "tuned ID", "share": "10", "key": KEY},
    ),
    "checkpoint beside others": (
        "job", "post", "/endpoints/{endpoint}/models/add/", {"model": "tuned ID 1", "share": "10", "key": KEY},
    ),
    "draft of a folder": ("draft", "get", "/storage/browse/", {"into": "output", "draft": "ID"}),
    "draft of a choice": ("draft", "get", "/storage/choose/", {"into": "output", "draft": "ID", "uri": "gs://bucket/a"}),
    "chats asked to delete": ("talk", "get", "/studio/chat/chats/delete/", {"chat": "ID"}),
    "chats deleted": ("talk", "post", "/studio/chat/chats/delete/", {"chat": "ID"}),
    "chats as a dataset": ("talk", "post", "/studio/chat/chats/dataset/", {"chat": "ID", "name": "New", "key": KEY}),
    "chats exported": ("talk", "get", "/studio/chat/chats/training.jsonl", {"chat": "ID"}),
}  # fmt: skip
CHANGING = re.compile(
    r'"X-CSRFToken": "[^"]*"|name="csrfmiddlewaretoken" value="[^"]*"|ticket=[^"&]*|\d{4}-\d\d-\d\d(?:T|%20| )[^"&<>]*|'
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{16}|\d+ (?:second|minute)s? ago|\d\d?:\d\d(?::\d\d)?"
)


def sent(client, mine, name, foreign):
    """The answer, without what differs from one request to the next."""
    _kind, method, path, fields = FIELDS[name]
    own = {key: thing.pk for key, thing in vars(mine).items()}

    def filled(value):
        return [filled(one) for one in value] if isinstance(value, list) else value.replace("ID", foreign).format(**own)

    response = getattr(client, method)(path.format(**own), {key: filled(value) for key, value in fields.items()})
    text = b"".join(response.streaming_content) if response.streaming else response.content
    return response.status_code, CHANGING.sub("…", response.get("Location", "")), CHANGING.sub("…", text.decode())


def things():
    """All that either of them has, with the endpoints and datasets that it leads to."""
    tables = (TuningJob, Dataset, Endpoint, Conversation, Message, Picture, ChatPreset)
    return {table.__name__: list(table.objects.order_by("pk").values_list()) for table in tables}


@pytest.mark.parametrize("name", FIELDS)
def test_somebody_elses_id_is_answered_like_one_that_never_was(visitor, ann, bob, name):
    foreign = getattr(ann, FIELDS[name][0])
    never = sent(visitor, bob, name, str(uuid.uuid4()))
    before = things()
    theirs = sent(visitor, bob, name, str(foreign.pk))
    differing = [pair for pair in zip(never[2].splitlines(), theirs[2].splitlines(), strict=True) if len({*pair}) > 1]
    assert (theirs[:2], differing, SECRET in theirs[2]) == (never[:2], [], False)
    assert [table for table, rows in things().items() if rows != before[table]] == []


@pytest.mark.parametrize("name", one_of(2, FIELDS))
def test_with_an_own_id_the_same_field_does_something(visitor, bob, name):
    """Or the test above would be passed by a field that nobody reads."""
    own = getattr(bob, FIELDS[name][0])
    never = sent(visitor, bob, name, str(uuid.uuid4()))
    before = things()
    assert (sent(visitor, bob, name, str(own.pk)), things()) != (never, before)


def test_a_search_finds_ones_own_only(visitor, ann, bob):
    found = {text: visitor.get("/search/", {"q": text}).content.decode() for text in (SECRET, "Moby", "Mine")}
    assert [f"/tuning/jobs/{ann.job.pk}/" in page for page in found.values()] == [False] * 3
    assert f"/tuning/jobs/{bob.job.pk}/" in found["Mine"]


@pytest.mark.parametrize("checkpoint", ["1", "2", "99", "../1", "1/../../x"])
def test_a_checkpoint_is_one_of_the_job_itself(visitor, ann, bob, checkpoint):
    bob.job.checkpoints = []
    bob.job.save()
    before = Endpoint.objects.count()
    for action in ("deploy", "default-checkpoint"):
        answer = visitor.post(f"/tuning/jobs/{bob.job.pk}/{action}/", {"checkpoint": checkpoint})
        assert answer.status_code == 409
    assert Endpoint.objects.count() == before


def test_a_model_of_anothers_endpoint_is_not_moved_by_its_own_id(visitor, ann, bob):
    other = factories.deployed_model(endpoint=ann.endpoint)
    url = f"/endpoints/{bob.endpoint.pk}/models/{other.deployed_model_id}/undeploy/"
    assert [visitor.generic(method, url).status_code for method in ("GET", "POST")] == [404, 404]
    visitor.post(f"/endpoints/{bob.endpoint.pk}/traffic/", {f"share-{other.deployed_model_id}": "100"})
    other.refresh_from_db()
    assert (other.state, other.share) == ("READY", 0)


def test_services_refuse_the_endpoint_of_somebody_else(ann, bob):
    """The second door: whoever calls the service directly."""
    attempts = (
        lambda: conversations.start(bob.talk.owner, endpoint=ann.endpoint),
        lambda: conversations.set_up(bob.talk.owner, endpoint=ann.endpoint, text=""),
        lambda: conversations.choose_endpoint(bob.talk, ann.endpoint),
        lambda: comparisons.create(bob.talk.owner, key=uuid.uuid4(), endpoints=[ann.endpoint, bob.endpoint]),
        lambda: comparisons.add_column(bob.comparison, ann.endpoint),
        lambda: comparisons.choose_endpoint(bob.column, ann.endpoint),
    )
    before = things()
    for attempt in attempts:
        with pytest.raises(NotAllowedNow, match=r"^This endpoint is no longer available\."):
            attempt()
    assert things() == before
