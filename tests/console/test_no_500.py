"""Whatever is sent to whichever address, the answer is a page or a refusal, never a failure."""

import random
import uuid
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from jobs.models import Delivery, SharedFolder
from tests.support import factories
from tests.support.answers import close_files
from tests.support.routes import patterns
from tests.support.share import one_of

pytestmark = [pytest.mark.django_db, pytest.mark.threat("T24")]
ROUTES = {pattern.name: pattern for pattern in patterns() if not pattern.name.startswith("readyz")}
TIMES = 8
ZERO = f"_{uuid.UUID(int=0)}"
TEXTS = [
    "", " ", "\x00", "a\x00b", "9" * 30, "9" * 5000, "-1", "0", "1e400", "nan", "1e-320", "٣", "²", "foo", "dashboard",
    "/", "//evil.example", "/\\evil", "/a\nb", "/선", "http://[", "javascript:x", "<script>", "%s%(x)s", "{{7*7}}",
    "../../etc", "a" * 3000, f"0001-01-01T00:00:00+23:59{ZERO}", f"9999-12-31T23:59:59-23:59{ZERO}", "gs://",
    "gs://bucket/" + "x" * 1020, "true", "no", "yes", "FULL", "8", "3", "0.0002", factories.BASE_MODEL, "upload-train",
    "sample-validation", "team=support", "=\n=", "multiplier", "tuned", "global", "save", "check",
]  # fmt: skip
QUERY = [
    "before", "state", "level", "variant", "q", "provider", "feature", "live", "download", "events", "next", "dataset",
    "epochs", "endpoint", "base_model", "action", "collection", "task", "modality", "tab", "sort", "after", "period",
    "table", "mode", "output_uri", "tuning_mode", "filter", "add", "job", "find", "all", "row", "prompt", "answer",
    "system", "question", "into", "uri", "page", "panel", "poll", "draft", "artifact_uri", "output_prefix", "name",
    "since", "about", "unread", "machine", "kind", "hours", "is", "bad", "show", "as",
    "location", "precision", "context_tokens", "source", "sweep_1", "sweep_1_values", "training_machine",
]  # fmt: skip
READ_QUERIES = [
    "tuning-list", "tuning-log", "tuning-job", "tuning-new", "endpoint-list", "dataset-list", "model-garden", "chat",
    "chat-turn", "chat-code", "sign-in", "search", "tuned-models", "endpoint-detail", "found-list",
    "tuning-export", "tuning-compare", "tuning-job-logs", "tuning-status", "dataset-detail", "dataset-rows",
    "dataset-versions", "dataset-edits", "dataset-duplicates", "dataset-row-edit",
    "settings", "settings-connection", "storage-browse", "storage-choose",
    "notifications", "notifications-latest", "settings-notifications", "compare-base-deploy",
    "model-detail", "model-import",
]  # fmt: skip
FIELDS = [
    "key", "text", "endpoint", "system_instruction", "temperature", "top_p", "max_tokens", "theme", "language", "next",
    "again", "to", "checkpoint", "column", "density", "rows", "job",
    "display_name", "description", "base_model", "output_uri", "dataset", "use_validation", "epochs", "model",
    "validation_dataset", "learning_rate", "tuning_mode", "adapter_size", "batch_size", "auto_deploy", "name", "action",
    "endpoint_display_name", "machine_type", "accepts_licence", "machine", "username", "password", "artifact_uri",
    "model_display_name", "min_replicas", "max_replicas", "spot", "shared_address",
    "deploy_endpoint", "endpoint_share", "sweep_1", "sweep_1_values", "warmup_ratio", "max_seq_length",
    "confirm", "minimum", "maximum", "kind", "hours", "seen",
    "labels", "source", "custom_base_model", "location", "learning_rate_kind", "learning_rate_multiplier",
    "endpoint_lease_hours", "prompt", "answer", "system", "has_header", "leave_out", "share", "seed", "reading",
    "picture", "without",
    "output_prefix", "time_zone", "reduces_motion", "single_keys", "enter_sends", "rating", "only_good",
    "old_password", "new_password1", "new_password2",
    "top_k", "stop", "stop-remove", "frequency_penalty", "presence_penalty", "response_format", "schema", "reset",
    "preset", "a", "b", "c", "d", "blind", "round", "winner", "dataset", "share-4711",
    "email", "webhook_url", "ways", "way", "until", "do", "take", "with_files", "with_model",
    "known", "undecided", "fix", "cloud-uri", "train-uri", "cloud-name",
    "similarity", "keep-0", "latest", "json", "base", "seen", "as",
    "revision", "token", "file",
    "idle_minutes", "autoscaling_gpu", "autoscaling_cpu", "autoscaling_requests", "autoscaling_kv_cache",
    "autoscaling_waiting", "reservation", "reservations", "flex_start_hours", "service_account", "endpoint_labels",
    "precision", "context_tokens",
]  # fmt: skip
FILES = [
    b"", b"\xff\xfe", b"\x00\n", b"[" * 5000, b'{"prompt": "a", "completion": "b"}\n', b'{"contents": [null]}',
    factories.png(), factories.png()[:60],
    b"prompt,answer\n\x00,b\n\"open,", b'[{"conversations": [{"from": []}]}, {"x":',
    b'[{"prompt": "a", "completion": "\\ud800"}]',
    b'{"instruction": "a", "output": 3}\n' + b"[" * 5000, b"prompt\tanswer\ra\tb\r",
    b'{"messages": [{"role": "\\ud800\\u0000", "content": "x"}]}', b'{"prompt": "\\ud800", "completion": "b"}',
]  # fmt: skip
HEADERS = [
    {},
    {"HTTP_HX_REQUEST": "true"},
    {"HTTP_HX_REQUEST": "true", "HTTP_HX_CURRENT_URL": "http://["},
    {"HTTP_HX_REQUEST": "true", "HTTP_HX_HISTORY_RESTORE_REQUEST": "true"},
    {"HTTP_ACCEPT_LANGUAGE": "x" * 600, "HTTP_REFERER": "http://[", "HTTP_IF_NONE_MATCH": 'W/"x'},
    {"HTTP_RANGE": "bytes=9999999999999999999-", "HTTP_IF_RANGE": "x"},
    {"HTTP_COOKIE": "messages=!!; theme=<x>; django_language=xx-" + "y" * 600},
]
BODIES = [
    (b"\xff\x00{{", "application/json"),
    (b"--x\r\nbad", "multipart/form-data; boundary=x"),
    (b"x", "multipart/form-data"),
    (b"a=%ff%00&b", "application/x-www-form-urlencoded; charset=utf-99"),
]


@pytest.fixture
def things():
    """An id of each kind of thing, by the beginning of the names of its routes."""
    factories.publisher_model()
    job = factories.job(state="SUCCEEDED", phase="CLOSED")
    answer = factories.message(conversation=factories.conversation(), role="assistant", state="FAILED")
    column = factories.conversation(comparison=factories.comparison())
    factories.message(conversation=column)
    compared = factories.message(conversation=column, role="assistant", content="Arr")
    delivery = Delivery.objects.create(notification=factories.notification(), way="webhook", state="FAILED")
    return {
        "tuning": job.pk,
        "tuned": job.pk,
        "endpoint": factories.ready_endpoint(job=job, artifact_uri="gs://bucket/final").pk,
        "found": factories.found_resource().pk,
        "dataset": job.dataset_id,
        "chat": answer.conversation_id,
        "answer": answer.pk,
        "compare": column.comparison_id,
        "column": column.pk,
        "compared": compared.pk,
        "picture": factories.picture().pk,
        "notification": factories.notification().pk,
        "delivery": delivery.pk,
        "session": factories.session().pk,
        "import": factories.dataset_import(state="FAILED", error="No.").pk,
        "model-import": factories.model_import(state="FAILED", error="No.").pk,
        "takeaway": factories.takeaway(job=job).pk,
        "sweep": factories.sweep().pk,
        "folder": SharedFolder.objects.create(uri="gs://bucket/team", created_by=factories.owner()).pk,
    }


def address(chance, name, things):
    pattern = ROUTES[name].pattern
    kinds = {
        "model-garden/imports/": "model-import",
        "compare/base": "endpoint",
        "turns": "answer",
        "pictures": "picture",
        "columns/": "column",
        "sweeps/": "sweep",
        "answers": "compared",
        "deliveries": "delivery",
        "sessions/": "session",
        "settings/storage/": "folder",
        "imports/": "import",
    }
    kind = next((kinds[part] for part in kinds if part in str(pattern)), name.partition("-")[0])
    given: dict[str, list[Any]] = {
        "step": ["training", "output", "x" * 300],
        "section": ["jobs", "setup", "x"],
        "publisher": ["google", "a\x00"],
    }
    given |= {"deployed": ["4711", "x"]}
    given |= {"line": [0, 1, 10**30], "number": [0, 1, 10**30]}
    given |= {"kind": ["search", "compare", "x" * 300]}
    given |= {"pending_id": [uuid.UUID(int=0)]}
    given |= {"slug": ["gemma3", "%", "선"], "token": ["\x00", "x" * 3000]}
    given |= {"file": [f"{'0' * 64}.png", "x" * 300, "선"]}
    given |= {"name": ["tour/wizard.webp", "../x", "x" * 300]}
    given |= {"form": ["md", "json", "jsonl", "x"], "picture": [uuid.UUID(int=0)]}
    drafts = "draft" in str(pattern)
    pk = factories.draft(data=all_steps() if chance.random() < 0.7 else {}).pk if drafts else things.get(kind)
    return reverse(name, kwargs={key: pk if key == "pk" else chance.choice(given[key]) for key in pattern.converters})


def all_steps():
    """Sent and in order, so that each step can be opened."""
    numbers = {"epochs": "3", "learning_rate": "0.0002", "tuning_mode": "PEFT_ADAPTER", "adapter_size": "8"}
    steps = {
        "name": {"display_name": "Captain"},
        "base-model": {"base_model": factories.BASE_MODEL},
        "output": {"output_uri": f"gs://bucket/{uuid.uuid4()}"},
        "training": {"dataset": str(factories.dataset().pk), **numbers},
    }
    return {step: {**values, "sent": True} for step, values in steps.items()}


def some_of(names, chance, things):
    values = [*TEXTS, *map(str, things.values())]
    return {name: chance.choice(values) for name in chance.sample(names, chance.randrange(len(names)))}


def answer_to(client, chance, name, things):
    url, headers = address(chance, name, things), chance.choice(HEADERS)
    if chance.random() < 0.4:
        query = urlencode(some_of(QUERY, chance, things))
        return client.generic(chance.choice(["GET", "HEAD"]), f"{url}?{query}", **headers)
    if chance.random() < 0.1:
        body, content_type = chance.choice(BODIES)
        return client.generic("POST", url, body, content_type, **headers)
    file = SimpleUploadedFile(chance.choice(["a.jsonl", "\x00", "../x", "선" * 200]), chance.choice(FILES))
    field = chance.choice(["file", "train-file", "validation-file", "pictures"])
    return client.post(url, some_of(FIELDS, chance, things) | {field: file}, **headers)


@pytest.mark.parametrize("name", one_of(8, sorted(ROUTES)))
def test_no_request_makes_it_fail(client, owner, things, name):
    chance = random.Random(name)
    client.raise_request_exception = False
    failures = []
    for _ in range(TIMES):
        client.force_login(owner)
        response = answer_to(client, chance, name, things)
        close_files(response)
        if response.status_code >= 500:
            failures.append(response.exc_info)
    assert failures == []


@pytest.mark.parametrize("text", one_of(12, TEXTS), ids=range(len(TEXTS)))
def test_no_query_makes_it_fail(client, owner, things, text):
    client.force_login(owner)
    client.raise_request_exception = False
    chance = random.Random(0)
    draft = factories.draft(data=all_steps())
    step, dataset = f"/tuning/drafts/{draft.pk}/training/", str(things["dataset"])
    asked = [(address(chance, name, things), dict.fromkeys(QUERY, text)) for name in READ_QUERIES]
    asked.append((step, {"dataset": dataset, "epochs": text}))
    answers = [client.get(f"{url}?{urlencode(query)}") for url, query in asked]
    assert [answer.exc_info for answer in answers if answer.status_code >= 500] == []
