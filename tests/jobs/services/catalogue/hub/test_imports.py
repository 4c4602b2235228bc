"""An import from what an administrator typed to the model, by what the local Vertex AI answers."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from jobs.errors import NotAllowedNow
from jobs.models import Delivery, ModelImport, ModelImportState as State, Notification, bell_of
from jobs.services.catalogue.hub import imports
from jobs.services.notifications import notifications
from jobs.vertex.errors import Refused, Unavailable
from tests.fakes import FakeGateway
from tests.support import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("with_imports")]
LATER = timedelta(seconds=30)


def advance(row: ModelImport, after: timedelta = LATER) -> bool:
    came = imports.advance(row.pk, timezone.now() + after)
    row.refresh_from_db()
    return came


def inspect(owner: User, **asked: Any) -> ModelImport:
    row = imports.begin(owner, "acme/Tiny", **asked)
    advance(row)
    assert row.state == State.FOUND
    return row


def start_download(owner: User, **asked: Any) -> ModelImport:
    row = inspect(owner, **asked)
    imports.download(row)
    advance(row)
    return row


def test_nothing_is_downloaded_before_a_person_agrees(owner: User, fake_gateway: FakeGateway) -> None:
    row = inspect(owner)
    assert (row.facts["family"], row.total_bytes, fake_gateway.imports.started) == ("Llama", 5_000_000, [])
    assert imports.due(timezone.now() + LATER) == []


def test_from_the_order_to_the_model(owner: User, fake_gateway: FakeGateway) -> None:
    row = start_download(owner, token="hf_secret")
    fake_gateway.imports.set(row.pk, "RUNNING", stage="fetching", done=2_500_000, total=5_000_000)
    assert (advance(row), row.state, row.percent, row.stage) == (False, "WAITING", 50, "fetching")
    fake_gateway.imports.set(row.pk, "DONE", model="hf-acme/tiny@001")
    assert (advance(row), row.state, row.model, row.token) == (True, "READY", "hf-acme/tiny@001", "")
    assert [one.token for one in fake_gateway.imports.started] == ["hf_secret"]


def test_the_token_is_sealed_in_the_row(owner: User) -> None:
    row = imports.begin(owner, "acme/Tiny", token="hf_secret")
    assert "hf_secret" not in row.token
    assert "hf_secret" not in str(ModelImport.objects.values().get())


def test_a_token_that_another_key_sealed_is_asked_for_again(owner: User, settings, fake_gateway: FakeGateway) -> None:
    row = imports.begin(owner, "acme/Tiny", token="hf_secret")
    settings.SECRET_KEY = "another"
    advance(row)
    assert [one.token for one in fake_gateway.imports.inspected] == [""]


def test_what_a_restart_cut_off_is_started_again_with_the_token(owner: User, fake_gateway: FakeGateway) -> None:
    row = start_download(owner, token="hf_secret")
    fake_gateway.imports.set(row.pk, "INTERRUPTED")
    advance(row)
    fake_gateway.imports.begun.clear()
    advance(row)
    assert [one.token for one in fake_gateway.imports.started] == ["hf_secret"] * 3
    assert row.state == State.WAITING


def test_it_is_paused_and_resumed(owner: User, fake_gateway: FakeGateway) -> None:
    row = start_download(owner)
    imports.pause(row)
    advance(row)
    assert (row.state, row.is_told, fake_gateway.imports.get(str(row.pk)).state) == (State.PAUSED, True, "PAUSED")
    assert imports.due(timezone.now() + LATER) == []
    imports.resume(row)
    advance(row)
    assert (row.state, fake_gateway.imports.get(str(row.pk)).state) == (State.WAITING, "RUNNING")


def test_what_the_server_paused_says_why(owner: User, fake_gateway: FakeGateway) -> None:
    row = start_download(owner, token="hf_secret")
    fake_gateway.imports.set(row.pk, "PAUSED", message="The disk is full.")
    advance(row)
    assert (row.state, row.error, bool(row.token)) == (State.PAUSED, "The disk is full.", True)


def test_what_failed_is_tried_again_and_forgets_the_token(owner: User, fake_gateway: FakeGateway) -> None:
    row = start_download(owner, token="hf_secret")
    fake_gateway.imports.set(row.pk, "FAILED", message="The checksum differs.")
    advance(row)
    assert (row.state, row.error, row.token) == (State.FAILED, "The checksum differs.", "")
    imports.resume(row, "hf_other")
    advance(row)
    assert (row.state, fake_gateway.imports.started[-1].token) == (State.WAITING, "hf_other")


def test_a_repository_that_is_refused_is_looked_at_again_with_a_token(owner: User, fake_gateway: FakeGateway) -> None:
    row = imports.begin(owner, "acme/Tiny")
    fake_gateway.refuse("imports.inspect", "acme/Tiny is gated.", "PERMISSION_DENIED")
    advance(row)
    assert (row.state, row.error, row.facts) == (State.FAILED, "acme/Tiny is gated.", {})
    imports.resume(row, "hf_secret")
    advance(row)
    assert (row.state, fake_gateway.imports.inspected[-1].token) == (State.FOUND, "hf_secret")


def test_an_order_is_repeated_until_the_server_takes_it(owner: User, fake_gateway: FakeGateway) -> None:
    row = inspect(owner)
    imports.download(row)
    fake_gateway.fail("imports.start", Unavailable("Away.", "UNAVAILABLE"))
    advance(row)
    assert (row.state, fake_gateway.imports.started) == (State.WAITING, [])
    advance(row, LATER * 2)
    assert len(fake_gateway.imports.started) == 1
    imports.cancel(row)
    fake_gateway.fail("imports.cancel", Unavailable("Away.", "UNAVAILABLE"))
    advance(row, LATER * 3)
    assert (row.is_told, row.state) == (False, State.CANCELLED)
    advance(row, LATER * 4)
    assert (row.is_told, fake_gateway.imports.begun) == (True, {})


def test_an_order_that_is_refused_fails(owner: User, fake_gateway: FakeGateway) -> None:
    row = inspect(owner)
    imports.download(row)
    fake_gateway.fail("imports.start", Refused("Two at once.", "ALREADY_EXISTS"))
    advance(row)
    assert (row.state, row.error) == (State.FAILED, "Two at once.")


def test_what_a_person_asks_for_while_the_worker_asks_wins(owner: User, fake_gateway: FakeGateway) -> None:
    row = start_download(owner)
    fake_gateway.imports.set(row.pk, "DONE", model="hf-acme/tiny@001")
    fake_gateway.during("imports.get", lambda: imports.cancel(ModelImport.objects.get()))
    assert (advance(row), row.state) == (False, State.CANCELLED)
    assert imports.due(timezone.now()) == [row.pk]


@pytest.mark.parametrize(
    ("state", "allowed"),
    [
        ("LOOKING", {"cancel"}),
        ("FOUND", {"download", "cancel"}),
        ("WAITING", {"pause", "cancel"}),
        ("PAUSED", {"resume", "cancel"}),
        ("FAILED", {"resume", "cancel"}),
        ("READY", set()),
        ("CANCELLED", set()),
        ("REMOVING", set()),
        ("REMOVED", set()),
    ],
)
def test_each_state_has_its_steps(owner: User, state: str, allowed: set[str]) -> None:
    row = factories.model_import(state=state, facts={"size": 1})
    steps = {"download": imports.download, "pause": imports.pause, "resume": imports.resume, "cancel": imports.cancel}
    taken = set()
    for name, step in steps.items():
        ModelImport.objects.update(state=state)
        with suppress(NotAllowedNow):
            step(row)
            taken.add(name)
    assert taken == allowed


def test_only_administrators_import(owner: User) -> None:
    other = factories.team_mate()
    with pytest.raises(NotAllowedNow, match="Only an administrator can import models."):
        imports.begin(other, "acme/Tiny")
    row = factories.model_import(owner=other, state="FOUND")
    for step in (imports.download, imports.pause, imports.resume, imports.cancel):
        with pytest.raises(NotAllowedNow, match="Only an administrator"):
            step(row)


def test_on_google_cloud_nothing_is_imported(owner: User, settings) -> None:
    settings.VERTEX_API_ENDPOINT = ""
    with pytest.raises(NotAllowedNow, match="On Google Cloud, the models of Hugging Face are in its own"):
        imports.begin(owner, "acme/Tiny")


def test_without_a_key_the_setting_is_named(owner: User, settings) -> None:
    settings.VERTEX_IMPORT_KEY = ""
    with pytest.raises(NotAllowedNow, match="Set LOCALVERTEX_IMPORT_KEY"):
        imports.begin(owner, "acme/Tiny")


def test_a_disk_that_is_too_small_is_said_before_the_download(owner: User, fake_gateway: FakeGateway) -> None:
    fake_gateway.imports.facts = {"needed": 10 * 2**30, "free": 2**30}
    row = inspect(owner)
    with pytest.raises(NotAllowedNow, match="The import needs 10240 MB, and the disk has 1024 MB left."):
        imports.download(row)


def test_a_smaller_file_may_fit_where_the_proposed_one_does_not(owner: User, fake_gateway: FakeGateway) -> None:
    choices = [{"name": "a-Q2.gguf", "size": 2**30}, {"name": "a-Q4_K_M.gguf", "size": 5 * 2**30}]
    free = {"needed": 6 * 2**30, "free": 3 * 2**30}
    fake_gateway.imports.facts = {"choices": choices, "file": "a-Q4_K_M.gguf", **free}
    row = inspect(owner)
    with pytest.raises(NotAllowedNow, match="The import needs 6144 MB"):
        imports.download(row)
    imports.download(row, "a-Q2.gguf")
    assert row.file == "a-Q2.gguf"


def test_of_several_files_one_of_them_is_chosen(owner: User, fake_gateway: FakeGateway) -> None:
    choices = [{"name": "a-Q4_K_M.gguf", "size": 1}, {"name": "a-Q8_0.gguf", "size": 2}]
    fake_gateway.imports.facts = {"choices": choices, "file": "a-Q4_K_M.gguf"}
    row = inspect(owner)
    with pytest.raises(NotAllowedNow, match="Choose one of the files"):
        imports.download(row, "b.gguf")
    imports.download(row, "a-Q8_0.gguf")
    advance(row)
    assert fake_gateway.imports.started[0].file == "a-Q8_0.gguf"


def test_old_ones_go_and_leave_nothing_on_the_server(owner: User, fake_gateway: FakeGateway) -> None:
    row = inspect(owner)
    ModelImport.objects.update(created_at=timezone.now() - imports.KEPT * 2)
    imports.prune(timezone.now())
    row.refresh_from_db()
    assert row.state == State.CANCELLED
    advance(row)
    ModelImport.objects.update(created_at=timezone.now() - notifications.KEPT * 2)
    imports.prune(timezone.now())
    assert not ModelImport.objects.exists()


def test_one_that_has_ended_is_kept_as_long_as_what_was_told_of_it(owner: User, fake_gateway: FakeGateway) -> None:
    row = start_download(owner)
    fake_gateway.imports.set(row.pk, "DONE", model="hf-acme/tiny@001")
    advance(row)
    ModelImport.objects.update(created_at=timezone.now() - imports.KEPT * 2)
    imports.prune(timezone.now())
    assert (ModelImport.objects.count(), Notification.objects.count()) == (1, 1)
    ModelImport.objects.update(created_at=timezone.now() - notifications.KEPT * 2)
    imports.prune(timezone.now())
    assert (ModelImport.objects.count(), Notification.objects.count()) == (1, 1)
    Notification.objects.all().delete()
    imports.prune(timezone.now())
    assert ModelImport.objects.count() == 0


def list_notifications() -> list[tuple[str, str, str]]:
    return [(one.kind, one.title, one.detail) for one in Notification.objects.order_by("created_at")]


def test_who_started_it_is_told_that_the_model_has_come(owner: User, fake_gateway: FakeGateway) -> None:
    factories.notification_choice(user=owner)
    row = start_download(owner)
    assert (list_notifications(), bell_of(owner).runs) == ([], True)
    fake_gateway.imports.set(row.pk, "DONE", model="hf-acme/tiny@001")
    advance(row)
    assert (list_notifications(), bell_of(owner).runs) == (
        [("model_import.succeeded", "The model Tiny was imported", "")],
        False,
    )
    found = Notification.objects.get()
    assert (found.owner, found.subject, found.subject_id, found.read_at) == (owner, "model_import", row.pk, None)
    assert [one.way for one in Delivery.objects.all()] == ["webhook"]


def test_each_end_of_one_that_is_tried_again_is_told(owner: User, fake_gateway: FakeGateway) -> None:
    row = start_download(owner)
    fake_gateway.imports.set(row.pk, "PAUSED", message="The disk is full.")
    advance(row)
    for _ in range(2):
        imports.resume(row)
        advance(row)
        fake_gateway.imports.set(row.pk, "FAILED", message="The checksum differs.")
        advance(row)
    failed = ("model_import.failed", "The import of Tiny failed", "The checksum differs.")
    assert list_notifications() == [
        ("model_import.failed", "The import of Tiny was paused", "The disk is full."),
        failed,
        failed,
    ]


def test_what_a_person_does_by_a_click_tells_nothing(owner: User, fake_gateway: FakeGateway) -> None:
    """Nor does a first look, whose end they wait for."""
    fake_gateway.refuse("imports.inspect", "acme/Tiny is gated.", "PERMISSION_DENIED")
    advance(imports.begin(owner, "acme/Tiny"))
    row = start_download(owner)
    imports.pause(row)
    advance(row)
    imports.cancel(row)
    advance(row)
    assert list_notifications() == []


def test_an_end_that_cannot_be_told_is_none(owner: User, fake_gateway: FakeGateway) -> None:
    row = start_download(owner)
    fake_gateway.imports.set(row.pk, "DONE", model="hf-acme/tiny@001")

    def refuse_notifications(execute, sql, params, many, context):
        if sql.startswith('INSERT INTO "jobs_notification"'):
            raise RuntimeError("no disk")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse_notifications), pytest.raises(RuntimeError, match="no disk"):
        advance(row)
    row.refresh_from_db()
    assert (row.state, list_notifications()) == (State.WAITING, [])
    assert (advance(row, LATER * 60), row.state, len(list_notifications())) == (True, State.READY, 1)
