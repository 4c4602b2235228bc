"""Each address that changes something, used by the owner as it is meant, adds exactly one line to the audit log."""

import io
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.web import audit as console_audit
from console.web.audit_actions import ACTIONS, PRIVATE
from jobs.models import AuditEntry, ChatPreset, Delivery, OutputListing, SharedFolder
from jobs.services.accounts import accounts
from jobs.services.chat import shared_links
from jobs.services.datasets import datasets
from jobs.services.notifications import choices
from jobs.services.tuning import job_files, queue
from tests.console.views.tuning.test_new import DEPLOYMENT, training
from tests.security.test_access import added_row, answer, column, compared, search_of, second_version
from tests.support import factories
from tests.support.routes import patterns

pytestmark = [pytest.mark.threat("T23"), pytest.mark.django_db]
ROUTES = {pattern.name: pattern for pattern in patterns()}
KINDS = {
    "UUIDConverter": uuid.UUID(int=0), "SlugConverter": "x", "StringConverter": "x", "IntConverter": 1,
    "PathConverter": "x",
}  # fmt: skip
NEW_ROW = {"as": "json", "json": '{"prompt": "a", "completion": "b"}'}
JSONL = b'{"prompt": "a", "completion": "b"}\n' * 12


@dataclass
class Walk:
    """What is sent where; `about`: the id of what the entry is about, where it is known before."""

    args: list[Any] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    about: object = None


def on(thing: Any, *args: Any, **data: Any) -> Walk:
    return Walk([thing.pk, *args], data, thing.pk)


def key() -> dict[str, str]:
    return {"key": str(uuid.uuid4())}


def shared_folder() -> SharedFolder:
    return SharedFolder.objects.create(uri="gs://garden-local/team", created_by=factories.owner())


def file(content: bytes, name: str = "rows.jsonl") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def tuned() -> Any:
    checkpoints = [{"checkpoint_id": "1", "epoch": 1, "step": 5}]
    return factories.job(state="SUCCEEDED", phase="CLOSED", tuning_mode="FULL", checkpoints=checkpoints)


def taken_away() -> Walk:
    """Of a job whose folder was looked into."""
    job = tuned()
    folder = "postprocess/node-0/checkpoints/final"
    files = [{"name": f"{folder}/{name}", "size": 2} for name in ("config.json", "model.safetensors")]
    now = timezone.now()
    OutputListing.objects.create(job=job, asked_at=now, read_at=now, files=files)
    return on(job, take=f"merged {job.output_uri}/{folder}")


def waiting_job() -> Any:
    return factories.job(prepared_at=factories.NOW)


def second_waiting_job() -> Any:
    waiting_job()
    return waiting_job()


def one_live_job(sweep: Any) -> Any:
    sweep.jobs.filter(sweep_place=1).update(state="SUCCEEDED", phase="CLOSED")
    return sweep


def filled_draft() -> Any:
    factories.publisher_model(licence_acknowledged=False)
    steps = {
        "name": {"display_name": "Ahoy bot"},
        "base-model": {"base_model": factories.BASE_MODEL},
        "output": {"output_uri": "gs://garden-local/ahoy"},
        "training": training(factories.dataset()),
    }
    return factories.draft(data={step: {**values, "sent": True} for step, values in steps.items()})


def uploaded_table() -> Any:
    table = io.BytesIO(b"prompt,answer\n" + b"a,b\n" * 12)
    return datasets.create(factories.owner(), file=table, file_name="rows.csv")


def partly_bad() -> Any:
    return datasets.create(factories.owner(), file=io.BytesIO(JSONL + b"x"), file_name="rows.jsonl")


def latest(dataset: Any) -> dict[str, str]:
    return {"latest": str(dataset.pk)}


def shared_endpoint() -> Any:
    endpoint = factories.ready_endpoint(traffic={"4711": 50, "5001": 50})
    factories.deployed_model(endpoint=endpoint)
    return endpoint


def chosen_preset() -> Walk:
    talk = factories.conversation()
    preset = ChatPreset.objects.create(owner=talk.owner, name="Short")
    return on(talk, preset=str(preset.pk))


def two_endpoints() -> dict[str, str]:
    made = [factories.ready_endpoint(), factories.ready_endpoint()]
    return dict(zip("ab", (str(one.pk) for one in made), strict=True))


def tuned_and_base() -> Walk:
    factories.ready_endpoint()
    made = factories.ready_endpoint(artifact_uri="gs://garden-local/ahoy", job=tuned())
    return Walk(data={**key(), "endpoint": str(made.pk)})


def tuned_alone() -> Walk:
    factories.publisher_model()
    made = factories.ready_endpoint(artifact_uri="gs://garden-local/ahoy", job=tuned())
    return Walk([made.pk], {**key(), "machine": "local-cpu::0", "kind": "FIXED", "hours": "2"})


def two_columns(count: int = 2) -> Any:
    comparison = factories.comparison()
    for place in range(count):
        factories.conversation(comparison=comparison, column=place)
    return comparison


def answered_comparison() -> Any:
    comparison = two_columns()
    for one in comparison.columns.all():
        factories.message(conversation=one)
        factories.message(conversation=one, role="assistant", content="Arr", state="COMPLETE")
    return comparison


def confirm_token() -> Walk:
    factories.notification_choice(email_confirmed=False)
    link = choices.confirmation_link(choices.of(factories.owner()))
    return Walk([link.rstrip("/").rsplit("/", 1)[1]])


def delivery() -> Any:
    return Delivery.objects.create(notification=factories.notification(), way="email", state="FAILED")


def administrator() -> None:
    type(factories.owner()).objects.update(is_superuser=True)


def live_answer(talk: Any = None) -> Any:
    talk = talk or factories.conversation()
    factories.message(conversation=talk)
    return factories.message(conversation=talk, role="assistant", state="STREAMING")


def said(state: str = "COMPLETE") -> Any:
    found = answer()
    found.state, found.content = state, "Arr"
    found.save()
    return found


def cut_off(talk: Any = None) -> Any:
    talk = talk or factories.conversation()
    factories.message(conversation=talk)
    return factories.message(conversation=talk, role="assistant", state="STOPPED", content="Arr")


def outgrown(talk: Any = None) -> Any:
    """Two turns, so that the older one can be left out."""
    talk = talk or factories.conversation()
    for _turn in range(2):
        factories.message(conversation=talk)
        last = factories.message(
            conversation=talk, role="assistant", state="FAILED", content="Arr", error_code="CONTEXT_LENGTH"
        )
    return last


WALKS: dict[str, Callable[[], Walk]] = {
    "settings-password": lambda: Walk(
        data={
            "old_password": "correct horse battery",
            "new_password1": "another horse battery",
            "new_password2": "another horse battery",
        }
    ),
    "settings-notifications": lambda: Walk(data={"email": "owner@example.com"}, about=factories.owner().pk),
    "settings-webhook-secret": lambda: Walk(about=factories.owner().pk),
    "settings-email-confirm": confirm_token,
    "settings-notifications-test": lambda: (factories.notification_choice(), Walk(data={"way": "email"}))[1],
    "settings-storage": lambda: (administrator(), Walk(data={"uri": "gs://garden-local/team"}))[1],
    "settings-storage-remove": lambda: (administrator(), on(shared_folder()))[1],
    "session-end": lambda: on(factories.session()),
    "session-end-others": lambda: (factories.session(), Walk())[1],
    "settings-spending": lambda: (administrator(), Walk(data={"person_usd": "50"}, about=1))[1],
    "notification-delivery-again": lambda: on(delivery()),
    "tuning-import": lambda: Walk(data={"text": json.dumps(job_files.dump(factories.job()))}),
    "tuning-clone": lambda: Walk([factories.job().pk]),
    "tuning-continue": lambda: Walk([tuned().pk]),
    "tuning-retry": lambda: Walk([factories.job(state="FAILED").pk]),
    "tuning-fix": lambda: (factories.publisher_model(), Walk([factories.job(state="FAILED").pk], {"fix": "go_on"}))[1],
    "tuning-discard": lambda: on(factories.draft()),
    "tuning-start": lambda: on(filled_draft(), **DEPLOYMENT),
    "tuning-cancel": lambda: on(factories.job()),
    "tuning-cancel-many": lambda: (lambda job: Walk(data={"job": str(job.pk)}, about=job.pk))(factories.job()),
    "tuning-remove": lambda: (
        lambda job: Walk(data={"job": str(job.pk), "do": "delete", "confirm": "My model"}, about=job.pk)
    )(factories.job(state="FAILED", phase="CLOSED")),
    "tuning-take": taken_away,
    "tuning-decide": lambda: on(factories.job(phase="NEEDS_DECISION"), again="yes"),
    "tuning-move": lambda: on(second_waiting_job(), to="top"),
    "tuning-default-checkpoint": lambda: on(tuned(), checkpoint="1"),
    "tuning-deploy": lambda: Walk([tuned().pk]),
    "model-deploy": lambda: (
        factories.publisher_model(),
        Walk(
            ["google", "gemma3"],
            {
                **key(),
                "model": factories.BASE_MODEL,
                "model_display_name": "Gemma",
                "display_name": "Gemma",
                "machine": "local-cpu::0",
                "min_replicas": "1",
                "max_replicas": "1",
            },
        ),
    )[1],  # fmt: skip
    "model-import": lambda: Walk(data={"source": "acme/Tiny"}),
    "model-remove": lambda: (
        factories.publisher_model(name="hf-acme/tiny@tiny", display_name="Tiny", data={"imported_bytes": 1}),
        Walk(["hf-acme", "tiny"], {"model": "hf-acme/tiny@tiny", "confirm": "Tiny"}),
    )[1],
    "model-import-download": lambda: on(factories.model_import(state="FOUND", facts={"size": 1})),
    "model-import-pause": lambda: on(factories.model_import(state="WAITING")),
    "model-import-resume": lambda: on(factories.model_import(state="PAUSED", facts={"size": 1})),
    "model-import-cancel": lambda: on(factories.model_import()),
    "model-deploy-weights": lambda: Walk(
        data={
            **key(),
            "artifact_uri": "gs://garden-local/weights",
            "display_name": "Weights",
            "model_display_name": "W",
            "machine": "",
        }
    ),  # fmt: skip
    "tuning-queue-pause": Walk,
    "tuning-sweep-cancel": lambda: Walk([one_live_job(factories.sweep()).pk]),
    "tuning-queue-resume": lambda: (queue.pause(factories.owner()), Walk())[1],
    "endpoint-again": lambda: Walk([factories.endpoint(state="FAILED", phase="CLOSED").pk]),
    "endpoint-fix": lambda: Walk([factories.endpoint(state="FAILED", phase="CLOSED").pk], {"fix": "again"}),
    "endpoint-undeploy": lambda: on(factories.ready_endpoint(), confirm="My endpoint"),
    "endpoint-delete": lambda: on(factories.ready_endpoint(), confirm="My endpoint"),
    "endpoint-detach": lambda: on(factories.ready_endpoint(made_here=False)),
    "found-attach": lambda: Walk([factories.found_resource().pk]),
    "endpoint-replicas": lambda: on(factories.ready_endpoint(), minimum="1", maximum="2"),
    "endpoint-lease": lambda: on(factories.ready_endpoint(), kind="FIXED", hours="2"),
    "endpoint-extend": lambda: on(
        factories.ready_endpoint(lease_kind="FIXED", lease_hours=1, undeploy_at=factories.NOW + timedelta(hours=1)),
        seen=(factories.NOW + timedelta(hours=1)).isoformat(),
    ),
    "endpoint-traffic": lambda: on(shared_endpoint(), **{"share-4711": "10", "share-5001": "90"}),
    "endpoint-model-add": lambda: (
        factories.publisher_model(),
        Walk(
            [factories.ready_endpoint().pk],
            {**key(), "model": f"base {factories.BASE_MODEL}", "share": "10", "machine": "local-cpu::0"},
        ),
    )[1],
    "endpoint-model-undeploy": lambda: Walk([shared_endpoint().pk, "5001"], {"share-4711": "100"}),
    "dataset-upload": lambda: Walk(data={"file": file(JSONL), "name": "Rows"}),
    "dataset-sample": Walk,
    "dataset-convert": lambda: Walk(
        [uploaded_table().pk], {"name": "Rows", "prompt": "0", "answer": "1", "system": "-1", "has_header": "on"}
    ),
    "dataset-edits-save": lambda: (lambda made: Walk([made.pk], latest(made)))(added_row()),
    "dataset-bad-rows": lambda: (lambda made: Walk([made.pk], latest(made)))(partly_bad()),
    "dataset-duplicates-remove": lambda: (lambda made: Walk([made.pk], latest(made)))(search_of()),
    "chat-dataset-many": lambda: Walk(data={**key(), "name": "Chats", "chat": str(said().conversation_id)}),
    "chat-row": lambda: Walk([said().pk], {**key(), "text": "Arr", "name": "Rows", "dataset": ""}),
    "compare-answer-row": lambda: Walk([compared().pk], {**key(), "text": "Arr", "name": "Rows", "dataset": ""}),
    "dataset-split": lambda: on(factories.dataset(), share="10", seed="1"),
    "dataset-edit": lambda: on(factories.dataset(), name="Other", description=""),
    "dataset-check": lambda: on(factories.dataset()),
    "dataset-delete": lambda: on(factories.dataset()),
    "chat": lambda: Walk(data={**key(), "text": "Ahoy", "endpoint": str(factories.ready_endpoint().pk)}),
    "model-try": lambda: (
        factories.publisher_model(),
        Walk(["google", "gemma3"], {**key(), "text": "Ahoy", "endpoint": str(factories.ready_endpoint().pk)}),
    )[1],
    "chat-send": lambda: on(factories.conversation(), **key(), text="Ahoy"),
    "chat-options": lambda: on(factories.conversation(), system_instruction="Short."),
    "chat-rename": lambda: on(factories.conversation(), title="Other"),
    "chat-pin": lambda: on(factories.conversation(), pinned="yes"),
    "chat-endpoint": lambda: on(factories.conversation(), endpoint=str(factories.ready_endpoint().pk)),
    "chat-send-all": lambda: on(factories.conversation()),
    "chat-preset-save": lambda: on(factories.conversation(), name="Short"),
    "chat-preset-use": chosen_preset,
    "chat-preset-delete": chosen_preset,
    "chat-share": lambda: on(said().conversation),
    "chat-link-revoke": lambda: on(shared_links.share(said().conversation)[0]),
    "chat-delete": lambda: on(factories.conversation()),
    "chat-delete-many": lambda: (lambda talk: Walk(data={"chat": str(talk.pk)}, about=talk.pk))(said().conversation),
    "chat-stop": lambda: on(live_answer()),
    "chat-retry": lambda: on(answer(), **key()),
    "chat-drop-oldest": lambda: on(outgrown(), **key()),
    "chat-continue": lambda: on(cut_off(), **key()),
    "chat-edit": lambda: on(answer().parent, **key(), text="Ahoy again"),
    "chat-rate": lambda: on(said(), rating="good"),
    "chat-turn-delete": lambda: on(answer().parent),
    "chat-branch": lambda: Walk([said().pk], key()),
    "chat-picture-add": lambda: Walk(data={"file": file(factories.png(), "red.png")}),
    "chat-picture-remove": lambda: on(factories.picture()),
    "compare": lambda: Walk(data={**key(), **two_endpoints()}),
    "compare-base": tuned_and_base,
    "compare-base-deploy": tuned_alone,
    "compare-again": lambda: Walk([two_columns().pk], key()),
    "compare-send": lambda: on(two_columns(), **key(), text="Ahoy"),
    "compare-stop-all": lambda: on(two_columns()),
    "compare-blind": lambda: on(two_columns(), blind="on"),
    "compare-rename": lambda: on(two_columns(), title="Other"),
    "compare-delete": lambda: on(two_columns()),
    "compare-vote": lambda: on(answered_comparison(), round="1", winner=""),
    "compare-reveal": lambda: on(answered_comparison()),
    "compare-add": lambda: on(two_columns(), endpoint=str(factories.ready_endpoint().pk)),
    "compare-column-endpoint": lambda: on(column(), endpoint=str(factories.ready_endpoint().pk)),
    "compare-column-options": lambda: on(column(), system_instruction="Short."),
    "compare-column-send-all": lambda: on(column()),
    "compare-column-remove": lambda: on(two_columns(3).columns.first()),
    "compare-answer-stop": lambda: on(live_answer(column())),
    "compare-answer-retry": lambda: on(compared(), **key()),
    "compare-answer-continue": lambda: on(cut_off(column()), **key()),
    "compare-drop-oldest": lambda: on(outgrown(column()), **key()),
    "compare-answer-branch": lambda: Walk([compared().pk], key()),
}
PRIVATE_WALKS: dict[str, Callable[[], Walk]] = {
    "preferences": lambda: Walk(data={"theme": "dark"}),
    "settings-appearance": lambda: Walk(data={"theme": "dark", "density": "compact", "language": "en"}),
    "settings-defaults": lambda: Walk(data={}),
    "settings-password-confirm": Walk,
    "confirm": lambda: Walk([uuid.uuid4()]),
    "settings-keys": lambda: Walk(data={"single_keys": "on"}),
    "tuning-view": lambda: Walk(data={"rows": "25"}),
    "model-garden-dismiss": Walk,
    "notification-read": lambda: on(factories.notification()),
    "notifications-read": Walk,
    "chat-draft": lambda: on(factories.conversation(), **key(), text="Aho"),
    "compare-draft": lambda: on(two_columns(), **key(), text="Aho"),
    "chat-picture-alt": lambda: on(factories.picture()),
    "chat-show": lambda: on(said()),
    "compare-answer-show": lambda: on(compared()),
    "tuning-draft": lambda: on(factories.draft(), "name", display_name="Ahoy"),
    "tuning-draft-keep": lambda: on(factories.draft(), "name", display_name="Ahoy"),
    "dataset-import-begin": lambda: Walk(data={"cloud-uri": "gs://garden-local/sets/rows.jsonl"}),
    "dataset-import-again": lambda: on(factories.dataset_import(state="FAILED")),
    "dataset-import-cancel": lambda: on(factories.dataset_import()),
    "dataset-row-edit": lambda: on(factories.dataset(), 1, do="as-json"),
    "dataset-row-new": lambda: on(factories.dataset(), **NEW_ROW),
    "dataset-row-added": lambda: on(added_row(), 4711, do="as-json"),
    "dataset-row-delete": lambda: on(factories.dataset(), 1),
    "dataset-edit-undo": lambda: on(added_row(), 4711),
    "dataset-edits-discard": lambda: on(added_row()),
    "dataset-duplicates": lambda: on(factories.dataset(), similarity="0"),
    "dataset-changes": lambda: on(second_version()),
    "tuning-output-check": lambda: on(factories.draft(), output_uri="gs://garden-local/ahoy"),
    "found-look": Walk,
    "settings-check": Walk,
    "settings-preflight": Walk,
    "model-preflight": lambda: Walk(data={"model": factories.publisher_model().name}),
    "tuning-preflight": lambda: on(factories.draft()),
    "model-garden-refresh": Walk,
}
BY_SIGNAL = {"sign-in", "sign-in-link", "sign-out"}


@pytest.fixture
def signed_in(client, owner, settings):
    settings.VERTEX_API_ENDPOINT, settings.VERTEX_IMPORT_KEY = "http://127.0.0.1:1", "a key of this test alone"
    settings.CONSOLE_URL = "https://console.example.com"
    client.force_login(owner)
    return client


def sent(client: Client, name: str, walk: Walk) -> tuple[int, list[tuple[str, str, str, str]]]:
    before = AuditEntry.objects.count()
    status = client.post(reverse(name, args=walk.args), walk.data).status_code
    rows = AuditEntry.objects.order_by("number")[before:]
    return status, [(row.action, row.object_kind, row.object_id, row.outcome) for row in rows]


def takes_post(client: Client, name: str) -> bool:
    args = [KINDS[type(converter).__name__] for converter in ROUTES[name].pattern.converters.values()]
    client.force_login(factories.owner())
    return client.post(reverse(name, args=args)).status_code != 405


def test_every_route_that_takes_post_has_its_name_or_its_reason(signed_in):
    taking = {name for name in ROUTES if takes_post(signed_in, name)}
    assert (taking, set(ACTIONS) & set(PRIVATE)) == (set(ACTIONS) | set(PRIVATE), set())


def test_every_name_is_walked():
    assert (set(WALKS) | BY_SIGNAL, set(PRIVATE_WALKS)) == (set(ACTIONS), set(PRIVATE))


@pytest.mark.parametrize("name", sorted(WALKS))
def test_one_request_is_one_entry(signed_in, name):
    walk = WALKS[name]()
    status, rows = sent(signed_in, name, walk)
    assert (status < 400, [row[0] for row in rows], [row[3] for row in rows]) == (True, [ACTIONS[name].code], ["ok"])
    if walk.about:
        assert rows[0][2] == str(walk.about)


@pytest.mark.parametrize("name", sorted(PRIVATE_WALKS))
def test_what_is_private_has_no_entry(signed_in, name):
    status, rows = sent(signed_in, name, PRIVATE_WALKS[name]())
    assert (status < 400, rows) == (True, [])


def about_last() -> tuple[str, ...]:
    row = AuditEntry.objects.order_by("-number").first()
    return (row.actor, row.action, row.object_kind, row.object_name, row.outcome, row.reason, row.address)


def test_signing_in_and_out_are_entries(client, owner):
    data = {"username": "owner", "password": "correct horse battery"}
    client.post("/accounts/sign-in/", data, REMOTE_ADDR="192.0.2.7")
    came = about_last()
    client.post("/accounts/sign-out/", REMOTE_ADDR="192.0.2.7")
    assert [came, about_last()] == [
        ("owner", "session.sign_in", "account", "owner", "ok", "", "192.0.2.7"),
        ("owner", "session.sign_out", "account", "owner", "ok", "", "192.0.2.7"),
    ]


def test_a_link_that_signs_in_is_an_entry(client, owner):
    token = accounts.issue_link(owner, valid=timedelta(hours=1))
    _status, rows = sent(client, "sign-in-link", Walk([token]))
    assert rows == [("session.sign_in", "account", str(owner.pk), "ok")]


@pytest.mark.parametrize(("name", "user_id"), [("owner", True), ("nobody\r\nroot", False)])
def test_a_failed_sign_in_names_account_and_address(client, owner, caplog, name, user_id):
    client.post("/accounts/sign-in/", {"username": name, "password": "wrong"}, REMOTE_ADDR="192.0.2.7")
    row = AuditEntry.objects.get()
    assert about_last() == ("", "session.sign_in", "account", name, "failed", "wrong_password", "192.0.2.7")
    assert (row.user_id == owner.pk) == user_id
    line = f"Sign-in failed: account {name!r}, address 192.0.2.7"
    assert [(one.levelname, one.getMessage()) for one in caplog.records if one.name == "console.web.audit"] == [
        ("WARNING", line)
    ]


def test_a_sign_in_that_was_held_back_is_a_refusal(client, owner):
    cache.clear()
    for _attempt in range(11):
        client.post("/accounts/sign-in/", {"username": "owner", "password": "wrong"})
    cache.clear()
    assert about_last()[1:6] == ("session.sign_in", "account", "owner", "refused", "throttled")


def test_a_password_is_in_no_entry(client, owner):
    client.post("/accounts/sign-in/", {"username": "owner", "password": "hunter2-canary"})
    assert "hunter2-canary" not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize("path", ["/accounts/sign-in/", "/settings/password/"])
def test_what_another_site_sent_is_a_refusal_of_nobody_and_nothing_of_it_is_read(client, db, path):
    client.post(path, {"username": "planted"}, headers={"sec-fetch-site": "cross-site"}, REMOTE_ADDR="192.0.2.7")
    row = AuditEntry.objects.get()
    action = "session.sign_in" if "sign-in" in path else "account.password"
    assert (row.action, row.outcome, row.reason, row.user_id, row.address) == (
        action, "refused", "cross_site", None, "192.0.2.7",
    )  # fmt: skip
    assert "planted" not in str(list(AuditEntry.objects.values()))


def test_an_address_that_does_not_exist_is_no_entry(client, db):
    client.post("/no/such/page/", headers={"sec-fetch-site": "cross-site"})
    assert AuditEntry.objects.count() == 0


def test_what_the_domain_refuses_is_an_entry_with_its_reason(signed_in):
    job = factories.job(state="SUCCEEDED", phase="CLOSED")
    signed_in.post(reverse("tuning-cancel", args=[job.pk]))
    assert about_last()[:6] == ("owner", "tuning_job.cancel", "tuning_job", "My model", "refused", "not_allowed_now")


def test_what_the_domain_refuses_in_a_form_is_one_too(signed_in):
    chosen = factories.conversation(endpoint=factories.endpoint(state="FAILED", phase="CLOSED"))
    assert sent(signed_in, "chat-send", on(chosen, **key(), text="Ahoy")) == (
        422,
        [("chat.send", "chat", str(chosen.pk), "refused")],
    )


def test_what_was_typed_wrong_is_none(signed_in):
    assert sent(signed_in, "tuning-import", Walk(data={"text": ""})) == (422, [])


def test_what_is_somebody_elses_is_none(client, team_mate):
    client.force_login(team_mate)
    assert sent(client, "tuning-cancel", on(factories.job())) == (404, [])


def test_reading_is_none(signed_in):
    before = AuditEntry.objects.count()
    for url in ("/", "/tuning/", "/settings/", reverse("tuning-job", args=[factories.job().pk])):
        assert signed_in.get(url).status_code == 200
    assert AuditEntry.objects.count() == before


def test_a_forged_request_is_a_refusal_and_names_nothing_of_others(owner, team_mate):
    client = Client(enforce_csrf_checks=True)
    client.force_login(team_mate)
    client.post(reverse("tuning-cancel", args=[factories.job(owner=owner).pk]))
    assert about_last()[:6] == ("team-mate", "tuning_job.cancel", "tuning_job", "", "refused", "csrf")


def test_strangers_cannot_fill_the_log(owner):
    client = Client(enforce_csrf_checks=True)
    for _attempt in range(70):
        client.post("/accounts/sign-in/", {"username": "owner", "password": "x"})
    console_audit.strangers.since -= 1
    client.post("/accounts/sign-in/", {"username": "owner", "password": "x"})
    last = AuditEntry.objects.order_by("-number").first()
    assert (AuditEntry.objects.count() < 70, 0 < last.facts["left_out"] < 11) == (True, True)


def cancel(client, job):
    return client.post(reverse("tuning-cancel", args=[job.pk])).status_code


def test_nobody_who_is_signed_in_fills_the_log_with_refusals(owner, team_mate):
    """A minute of them; then the next line says how many were left out. Another person's have their lines."""
    forging, other = Client(enforce_csrf_checks=True), Client(enforce_csrf_checks=True)
    forging.force_login(owner), other.force_login(team_mate)
    now = [0.0]
    console_audit.refusals.people[owner.pk] = console_audit.Allowance(60, clock=lambda: now[0])
    job, before = factories.job(), AuditEntry.objects.count()
    assert {cancel(forging, job) for _ in range(90)} == {403}
    assert AuditEntry.objects.count() - before == 60
    cancel(other, job)
    assert about_last()[0] == "team-mate"
    now[0] = 1.0
    cancel(forging, job)
    last = AuditEntry.objects.order_by("-number").first()
    assert (last.actor, last.facts) == ("owner", {"left_out": 30})


def test_what_is_done_or_fails_always_has_its_line(owner):
    """Also of somebody whose refusals are left out."""
    forging, client = Client(enforce_csrf_checks=True), Client()
    forging.force_login(owner), client.force_login(owner)
    job = factories.job()
    for _ in range(80):
        cancel(forging, job)
    before = AuditEntry.objects.count()
    for _ in range(70):
        client.post("/accounts/sign-out/")
        client.force_login(owner)
    assert AuditEntry.objects.count() - before == 140


def test_of_many_people_the_allowances_that_were_not_used_for_longest_are_forgotten():
    allowances = console_audit.Allowances(1, most=2)
    assert [allowances.of(number).take() for number in (1, 2, 1, 2)] == [0, 0, None, None]
    allowances.of(1), allowances.of(3)
    assert (sorted(allowances.people), allowances.of(1).take()) == ([1, 3], None)
