"""Of each action in each state of a job: its button is on the page where the policy allows it, and only there; where it
does not, the service refuses with the policy's sentence and changes nothing."""

from typing import Any

import pytest

from jobs import errors
from jobs.models import Endpoint, TuningDraft, TuningJob
from jobs.services.tuned_models import checkpoints, policies as tuned_models
from jobs.services.tuning import drafts, jobs, policies, queue, removal
from jobs.states import Phase, TuningState
from tests.support import factories
from tests.support.share import each_once

pytestmark = pytest.mark.django_db
CHECKPOINTS = [{"checkpoint_id": "1", "epoch": 1, "step": 10}, {"checkpoint_id": "2", "epoch": 2, "step": 20}]
WAITS = {"phase": Phase.INTENT, "prepared_at": factories.NOW}
LAST_OF_TWO = policies.Place(number=2, ahead=1, behind=0)
# Every state as a job of Vertex AI, and what else decides.
JOBS: list[dict[str, Any]] = [
    *({"state": state, "phase": Phase.BOUND} for state in TuningState),
    {"state": "QUEUED", "phase": Phase.INTENT},
    {"state": "QUEUED", **WAITS},
    {"state": "QUEUED", **WAITS, "strikes": 5},
    {"state": "QUEUED", **WAITS, "next_check_at": None},
    {"state": "QUEUED", "phase": Phase.NEEDS_DECISION},
    {"state": "FAILED", "phase": Phase.NEEDS_DECISION},
    {"state": "QUEUED", "phase": Phase.AMBIGUOUS},
    {"state": "SUCCEEDED", "phase": Phase.CLOSED, "auto_deploy": True},
    {"state": "SUCCEEDED", "phase": Phase.CLOSED, "tuning_mode": "FULL", "adapter_size": None},
]


def name_of(case):
    return " ".join(map(str, case.values())) if isinstance(case, dict) else None


def is_tuned(values, _other):
    return values["state"] == "SUCCEEDED"


STATES = pytest.mark.parametrize("values", JOBS, ids=name_of)


@pytest.fixture
def page(client, owner, settings):
    settings.VERTEX_TUNING_AT_ONCE = 1
    client.force_login(owner)
    return lambda place: client.get(place).content.decode()


def made(values):
    return factories.job(checkpoints=CHECKPOINTS, **values)


def refuses(reason, action):
    if reason:
        with pytest.raises(errors.NotAllowedNow) as refused:
            action()
        assert str(refused.value) == reason
    else:
        action()
    return bool(reason)


def unchanged(job, is_refused):
    return not is_refused or TuningJob.objects.filter(pk=job.pk, updated_at=job.updated_at).exists()


@STATES
def test_cancelling(page, values):
    job = made(values)
    reason = policies.why_not_cancel(job)
    button = f'command="show-modal" commandfor="cancel-{job.pk}"'
    assert [button in page(place) for place in (f"/tuning/jobs/{job.pk}/", "/tuning/")] == [not reason] * 2
    assert unchanged(job, refuses(reason, lambda: jobs.request_cancel(job)))


def test_cancelling_twice_is_cancelling_once():
    job = made({"state": "RUNNING", "phase": Phase.BOUND})
    jobs.request_cancel(job)
    jobs.request_cancel(job)
    assert job.events.count() == 1


def test_cancelling_many_asks_the_same_policy(page, client):
    rows = [made(values) for values in JOBS]
    allowed = {job.pk for job in rows if not policies.why_not_cancel(job)}
    asked = client.get("/tuning/cancel/", {"job": [str(job.pk) for job in rows]})
    client.post("/tuning/cancel/", {"job": [str(job.pk) for job in rows]})
    assert {job.pk for job in asked.context["jobs"]} == allowed
    assert set(TuningJob.objects.filter(cancel_requested_at__isnull=False).values_list("pk", flat=True)) == allowed


@STATES
def test_deciding(page, values):
    job = made(values)
    reason = policies.why_not_decide(job)
    assert (f"/tuning/jobs/{job.pk}/decide/" in page(f"/tuning/jobs/{job.pk}/").partition("give-up-dialog")[0]) is (
        not reason
    )
    assert unchanged(job, refuses(reason, lambda: jobs.decide(job, again=True)))


@STATES
def test_moving(page, values):
    """The last of two jobs, and alone."""
    first = factories.job(**WAITS)
    job = made(values)
    reason = policies.why_not_move(job, "up", LAST_OF_TWO)
    places = (f"/tuning/jobs/{job.pk}/", "/tuning/")
    address = f"/tuning/jobs/{job.pk}/move/"
    assert [address in page(place) for place in places] == [not reason] * 2
    for to in policies.MOVES:
        if reason := policies.why_not_move(job, to, LAST_OF_TWO):
            assert unchanged(job, refuses(reason, lambda to=to: queue.move(job, to)))
    TuningJob.objects.filter(pk=first.pk).update(state="CANCELLED", phase=Phase.CLOSED)
    assert [address in page(place) for place in places] == [False] * 2


@pytest.mark.parametrize(
    ("values", "endpoint"),
    each_once(JOBS, [None, "READY", "DEPLOYING", "FAILED", "DELETED"], and_where=is_tuned),
    ids=name_of,
)
def test_deploying(page, client, values, endpoint):
    job = made(values)
    if endpoint:
        factories.endpoint(job=job, state=endpoint, artifact_uri=checkpoints.folder(job))
    reason = tuned_models.why_not_deploy(job, Endpoint.objects.filter(main_model__job=job).exclude(state="DELETED"))
    button = 'command="show-modal" commandfor="deploy-dialog"'
    assert (button in page(f"/tuning/jobs/{job.pk}/")) is (not reason)
    before = Endpoint.objects.count()
    client.post(f"/tuning/jobs/{job.pk}/deploy/", {})
    assert Endpoint.objects.count() == before + (not reason)


def button_of(checkpoint, icon):
    field = f'<input type="hidden" name="checkpoint" value="{checkpoint}">'
    return f'{field} <button class="item"><svg class="ic" aria-hidden="true"><use href="/static/icons.svg#{icon}">'


@pytest.mark.parametrize(("values", "checkpoint"), each_once(JOBS, ["1", "2"], and_where=is_tuned), ids=name_of)
def test_going_on_from_a_checkpoint(page, client, values, checkpoint):
    job = made(values)
    reason = tuned_models.why_not_continue(job, checkpoint)
    assert (button_of(checkpoint, "tune") in " ".join(page(f"/tuning/jobs/{job.pk}/").split())) is (not reason)
    client.post(f"/tuning/jobs/{job.pk}/continue/", {"checkpoint": checkpoint})
    assert TuningDraft.objects.count() == (not reason)


@STATES
def test_archiving_and_bringing_back(page, values):
    job = made(values)
    reason = policies.why_not_archive(job)
    assert ('value="archive"' in page(f"/tuning/remove/?job={job.pk}")) is (not reason)
    assert unchanged(job, refuses(reason, lambda: removal.archive(job)))
    reason = policies.why_not_restore(job)
    assert ('value="restore"' in page(f"/tuning/remove/?job={job.pk}")) is (not reason)
    assert unchanged(job, refuses(reason, lambda: removal.restore(job)))


@STATES
def test_deleting(page, values):
    job = made(values)
    reason = removal.why_not_delete(job)
    assert ('value="delete"' in page(f"/tuning/remove/?job={job.pk}")) is (not reason)
    refuses(reason, lambda: removal.delete(job))
    assert TuningJob.objects.get().is_deleted is (not reason)


@pytest.mark.parametrize(("values", "checkpoint"), each_once(JOBS, ["1", "2"], and_where=is_tuned), ids=name_of)
def test_making_a_checkpoint_the_default(page, values, checkpoint):
    """The one that is the default already has no button, and to choose it once more does no harm."""
    job = made(values)
    reason = tuned_models.why_not_deploy_checkpoint(job, checkpoint)
    is_default = checkpoint == job.last_checkpoint
    assert (button_of(checkpoint, "star") in " ".join(page(f"/tuning/jobs/{job.pk}/").split())) is (
        not reason and not is_default
    )
    refuses(reason, lambda: checkpoints.set_default(job, checkpoint))
    assert TuningJob.objects.get().default_checkpoint == ("" if reason else checkpoint)


@pytest.mark.parametrize("submitted_at", [None, factories.NOW])
def test_changing_a_draft(page, submitted_at):
    draft = factories.draft(submitted_at=submitted_at)
    factories.job(pk=draft.pk)
    reason = policies.why_not_change(draft)
    shown = page(f"/tuning/drafts/{draft.pk}/name/")
    assert ('name="display_name"' in shown) is (not reason)
    refuses(reason, lambda: drafts.save_step(draft, "name", {"display_name": "Ahoy"}))
    draft.refresh_from_db()
    assert (draft.data == {}) is bool(reason)


def test_what_is_allowed_in_which_state():
    """The table itself, so that a change of a rule is seen."""
    rows = {state: factories.job(state=state, phase=Phase.BOUND) for state in TuningState}
    cancelled = {state for state, job in rows.items() if not policies.why_not_cancel(job)}
    deployed = {state for state, job in rows.items() if not tuned_models.why_not_deploy(job, [])}
    assert cancelled == {"QUEUED", "PENDING", "RUNNING", "PAUSED"}
    assert deployed == {"SUCCEEDED", "PARTIALLY_SUCCEEDED"}
