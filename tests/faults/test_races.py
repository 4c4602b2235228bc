"""Two of everything at once. Threads with connections of their own, on the real database."""

import json
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import close_old_connections, connection
from django.test import Client

from console.presenters.tuning.wizard.clone import raw_values
from console.presenters.tuning.wizard.drafts import SENT
from jobs import errors
from jobs.models import Conversation, Dataset, Endpoint, Message, TuningDraft, TuningJob, Vote
from jobs.services.accounts import accounts
from jobs.services.chat import branches, conversations, tree
from jobs.services.comparisons import board, comparisons, rows, votes
from jobs.services.endpoints import endpoints, lifetime
from jobs.services.endpoints.endpoints import DeploymentSpec
from jobs.services.remote import row_claim
from jobs.services.storage import sharing
from jobs.services.tuning import jobs as tuning, queue
from jobs.services.tuning.sweeps import sweeps
from tests.support import factories
from tests.support.row_driver import Driver
from tests.support.stored import path_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.flaky(reruns=0)]


def at_once(action, count=8):
    """What `count` threads got when all of them did `action` at the same moment; errors are results, too."""
    barrier, results = threading.Barrier(count), []

    def run():
        barrier.wait()
        try:
            results.append(action())
        except errors.JobsError as error:
            results.append(type(error))
        finally:
            close_old_connections()
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == count
    return results


@pytest.fixture
def driver(fake_gateway):
    fake_gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    return Driver()


@pytest.mark.fault("F3")
def test_a_double_click_makes_one_job(owner):
    key = uuid4()
    spec = factories.tuning_spec()
    assert {job.pk for job in at_once(lambda: tuning.create(owner, key=key, spec=spec))} == {key}
    assert TuningJob.objects.get().events.count() == 1


@pytest.mark.fault("F3")
def test_a_double_click_makes_one_sweep_with_all_of_its_jobs(owner):
    key, varied = uuid4(), {"epochs": [1, 2, 3]}
    spec = factories.tuning_spec()
    made = at_once(lambda: sweeps.create(owner, key=key, spec=spec, varied=varied), 4)
    assert ({sweep.pk for sweep in made}, TuningJob.objects.filter(sweep=key).count()) == ({key}, 3)


@pytest.mark.fault("F3")
def test_a_double_click_makes_one_endpoint(owner):
    key, spec = uuid4(), DeploymentSpec("Base", publisher_model=factories.BASE_MODEL)
    made = at_once(lambda: endpoints.deploy_model(owner, key=key, spec=spec))
    assert {endpoint.pk for endpoint in made} == {key}


def test_automatic_endpoints_are_one_a_job(owner):
    job = factories.job(state="SUCCEEDED")
    assert len({endpoint.pk for endpoint in at_once(lambda: endpoints.deploy_for_job(job))}) == 1


@pytest.mark.fault("F5")
def test_one_claim_wins(driver):
    job = factories.job(next_check_at=driver.now)
    claims = at_once(lambda: row_claim.claim(TuningJob, job.pk, driver.now))
    assert len([claim for claim in claims if claim]) == 1


@pytest.mark.fault("F5")
def test_a_message_delivered_many_times_sends_one_request(driver, fake_gateway):
    job = factories.job(next_check_at=driver.now)
    driver.step(driver.step(job))
    at_once(lambda: tuning.advance(job.pk, driver.now))
    driver.until(job, phase="BOUND")
    assert fake_gateway.calls.count("tuning.create") == 1


@pytest.mark.fault("F27")
def test_cancel_against_submission(driver, fake_gateway):
    job = factories.job(next_check_at=driver.now)
    driver.step(driver.step(job))
    turns = iter([lambda: tuning.advance(job.pk, driver.now), lambda: tuning.request_cancel(job)] * 4)
    at_once(lambda: next(turns)())
    driver.rest(job)
    assert job.state == "CANCELLED"
    assert {remote.state for remote in fake_gateway.tuning.jobs.values()} <= {"CANCELLED"}


def test_one_question_at_a_time(owner):
    conversation = factories.conversation(owner=owner)
    answers = at_once(lambda: conversations.ask(conversation, key=uuid4(), text="Ahoy"))
    assert len([answer for answer in answers if answer is not errors.NotAllowedNow]) == 1
    assert Message.objects.count() == 2


@pytest.mark.fault("F3")
def test_the_same_question_sent_twice_is_one(owner):
    conversation, key = factories.conversation(owner=owner), uuid4()
    assert len({answer.pk for answer in at_once(lambda: conversations.ask(conversation, key=key, text="Ahoy"))}) == 1


@pytest.fixture
def limited(owner):
    """An answer that stopped at the limit."""
    talk = factories.conversation(owner=owner)
    factories.message(conversation=talk)
    return factories.message(conversation=talk, role="assistant", content="The sea", finish_reason="length")


@pytest.mark.parametrize("verb", [tree.regenerate, tree.go_on])
def test_the_same_click_twice_is_one_answer(limited, verb):
    key = uuid4()
    assert len({answer.pk for answer in at_once(lambda: verb(limited, key=key))}) == 1


@pytest.mark.parametrize("verb", [tree.regenerate, tree.go_on])
def test_one_more_answer_at_a_time(limited, verb):
    answers = at_once(lambda: verb(limited, key=uuid4()))
    assert [answers.count(errors.NotAllowedNow), Message.objects.filter(state="WAITING").count()] == [7, 1]


def test_a_branch_made_by_a_double_click_is_one_chat(limited):
    key = uuid4()
    at_once(lambda: branches.branch_off(limited, key=key))
    assert Conversation.objects.count() == 2


def test_a_deleted_question_against_another_answer_to_it(limited):
    turns = [lambda: tree.delete(limited.parent), lambda: tree.regenerate(limited, key=uuid4())]
    at_once(lambda: turns.pop()(), count=2)
    assert Message.objects.count() == 0


def test_a_question_against_the_end_of_a_lease(owner, driver):
    """Either the question is there and the endpoint stays, or the endpoint goes and the question is refused."""
    over = {"lease_kind": "FIXED", "lease_hours": 1, "undeploy_at": driver.now, "next_check_at": None}
    endpoint = factories.ready_endpoint(owner=owner, **over)
    talk = factories.conversation(owner=owner, endpoint=endpoint)
    turns = [lambda: conversations.ask(talk, key=uuid4(), text="Ahoy"), lambda: lifetime.end(endpoint.pk, driver.now)]
    asked = iter(turns * 4)
    at_once(lambda: next(asked)())
    endpoint.refresh_from_db()
    assert (endpoint.state, Message.objects.count()) in {("READY", 2), ("UNDEPLOYING", 0)}


def test_a_lease_ends_once(owner, driver):
    endpoint = factories.ready_endpoint(owner=owner, lease_hours=1, lease_kind="FIXED", undeploy_at=driver.now)
    assert sorted(at_once(lambda: lifetime.end(endpoint.pk, driver.now))) == [False] * 7 + [True]
    assert endpoint.events.count() == 1


def test_extending_against_the_end_of_a_lease(owner, driver):
    endpoint = factories.ready_endpoint(owner=owner, lease_hours=1, lease_kind="FIXED", undeploy_at=driver.now)
    seen = endpoint.undeploy_at
    turns = [
        lambda: lifetime.extend(Endpoint.objects.get(pk=endpoint.pk), seen=seen),
        lambda: lifetime.end(endpoint.pk, driver.now),
    ]
    asked = iter(turns * 4)
    at_once(lambda: next(asked)())
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.undeploy_at is None) in {("READY", False), ("UNDEPLOYING", True)}


def test_a_double_click_changes_the_replicas_once(owner):
    endpoint = factories.ready_endpoint(owner=owner)
    at_once(lambda: endpoints.request_replicas(Endpoint.objects.get(pk=endpoint.pk).model, minimum=2, maximum=2))
    assert endpoint.events.count() == 1


@pytest.mark.fault("F3")
def test_deployed_again_by_a_double_click_it_is_one(owner):
    endpoint = factories.endpoint(owner=owner, state="FAILED")
    assert len({made.pk for made in at_once(lambda: endpoints.deploy_again(endpoint))}) == 1


def test_of_many_that_wait_one_is_sent(driver, fake_gateway, settings):
    settings.VERTEX_TUNING_AT_ONCE = 1
    jobs = [factories.job(next_check_at=driver.now, prepared_at=driver.now) for _ in range(8)]
    turns = iter(jobs)
    at_once(lambda: tuning.advance(next(turns).pk, driver.now))
    assert fake_gateway.calls.count("tuning.create") == 1


def test_of_many_that_wait_none_is_sent_once_the_queue_is_paused(driver, fake_gateway, owner):
    """Each step began before or after the pause; what was sent, was sent before it."""
    jobs = [factories.job(next_check_at=driver.now, prepared_at=driver.now) for _ in range(7)]
    turns = iter([*jobs, None])

    def act():
        job = next(turns)
        return tuning.advance(job.pk, driver.now) if job else queue.pause(owner)

    at_once(act)
    sent = fake_gateway.calls.count("tuning.create")
    for job in jobs:
        driver.step(job)
    assert fake_gateway.calls.count("tuning.create") == sent


def test_moving_from_two_windows_keeps_a_whole_queue(owner):
    _first, *jobs = [factories.job(prepared_at=factories.NOW) for _ in range(9)]
    turns = iter(jobs)
    at_once(lambda: queue.move(next(turns), "top"))
    ranks = [job.queue_rank for job in queue.waiting()]
    assert (len(ranks), sorted(set(ranks))) == (9, list(range(-9, 0)))


@pytest.fixture
def comparison(owner):
    sides = [factories.ready_endpoint(owner=owner) for _ in range(2)]
    return comparisons.create(owner, key=uuid4(), endpoints=sides)


def test_a_message_sent_twice_asks_each_column_once(comparison):
    key = uuid4()
    at_once(lambda: comparisons.send(comparison, key=key, text="Ahoy"))
    assert sorted(Message.objects.values_list("role", flat=True)) == ["assistant", "assistant", "user", "user"]


def test_two_messages_at_once_are_one_round(comparison):
    at_once(lambda: comparisons.send(comparison, key=uuid4(), text="Ahoy"))
    assert (board.load(comparison).round, Message.objects.count()) == (1, 4)


def test_two_comparisons_of_the_same_endpoints_do_not_wait_for_each_other(owner, comparison):
    sides = list(Endpoint.objects.all())
    pairs = [comparisons.create(owner, key=uuid4(), endpoints=sides[::way]) for way in (1, -1) * 4]
    sent = at_once(lambda: len(comparisons.send(pairs.pop(), key=uuid4(), text="Ahoy")))
    assert sent == [2] * 8


def test_a_blind_vote_counts_once(owner, comparison):
    comparisons.set_blind(comparison, True)
    comparisons.send(comparison, key=uuid4(), text="Ahoy")
    Message.objects.filter(role="assistant").update(state="COMPLETE", content="Arr")
    winners = list(comparison.columns.all()) * 4
    at_once(lambda: votes.vote(comparison, number=1, winner=winners.pop()))
    assert Vote.objects.count() == 1


def test_rows_added_at_once_are_there_once_and_none_is_lost(owner, comparison):
    comparisons.send(comparison, key=uuid4(), text="Ahoy")
    Message.objects.filter(role="assistant").update(state="COMPLETE", content="Arr")
    answer, base, key = Message.objects.filter(role="assistant").first(), factories.dataset(owner=owner), uuid4()
    clicks: list[dict[str, Any]] = [{"key": key, "text": "Arr"}] * 6 + [{"key": uuid4(), "text": "Aye"}] * 2
    at_once(lambda: rows.add(answer, dataset=base, **clicks.pop()).version)
    latest = Dataset.objects.get(family=base.family, is_latest=True)
    added = [json.loads(line)["completion"] for line in path_of(latest).read_text().splitlines()[len(factories.ROWS) :]]
    assert (latest.version, sorted(added)) == (3, ["Arr", "Aye"])


def test_of_fifty_starts_on_one_folder_one_starts_and_the_others_are_told_which_field(owner):
    spec = factories.tuning_spec(owner=owner, output_uri="gs://garden-local/one")

    def start():
        try:
            return tuning.create(owner, key=uuid4(), spec=spec).pk
        except errors.InvalidValues as refused:
            return refused.problems

    results = at_once(start, count=50)
    taken = errors.Problem(
        "not_writable", "output_uri", "Another tuning job already writes to this folder. Choose a different folder."
    )
    job = TuningJob.objects.get()
    assert [results.count(job.pk), results.count((taken,))] == [1, 49]


def test_fifty_clicks_on_start_for_one_folder_start_one_and_tell_the_others_so(client, owner):
    """Each draft is finished; whoever comes second is led to the step of the folder, or told in the last one."""
    spec = factories.tuning_spec(owner=owner, output_uri="gs://garden-local/one")
    steps = {step: values | {SENT: True} for step, values in raw_values(spec.values()).items()}
    drafts = [factories.draft(owner=owner, data=steps) for _ in range(50)]
    client.force_login(owner)
    waiting, cookies = iter(drafts), client.cookies

    def start():
        visitor = Client()
        visitor.cookies = cookies
        answer = visitor.post(f"/tuning/drafts/{next(waiting).pk}/start/", steps["deployment"])
        if answer.status_code == 422:
            return "Output directory: Another tuning job already writes to this folder." in answer.content.decode()
        return answer.status_code, answer["Location"].split("/")[4:5]

    answers = at_once(start, count=50)
    job = TuningJob.objects.get()
    assert job.output_uri == "gs://garden-local/one"
    assert TuningDraft.objects.filter(submitted_at__isnull=False).count() == 1
    sent = [answer for answer in answers if answer is not True]
    led_back = [answer for answer in sent if answer == (303, ["output"])]
    assert len(sent) - len(led_back) == 1
    page = client.get(f"/tuning/drafts/{next(one.pk for one in drafts if one.pk != job.pk)}/output/").content.decode()
    assert "Another tuning job already writes to this folder. Choose a different folder." in page


def test_two_people_never_get_folders_that_overlap(fake_gateway):
    """Eight starts of two people at once, each above or below the others': who comes first has the place alone."""
    owner, others = factories.owner(), [factories.user(username=name) for name in ("ann", "bob")]
    sharing.share_folder(owner, uri="gs://team-bucket", user=None, may_write=True)
    specs = {person: factories.tuning_spec(owner=person, display_name="Run") for person in others}
    starts = iter([(others[number % 2], "/deeper" * (number % 4)) for number in range(8)])
    turn = threading.Lock()

    def start():
        with turn:
            person, below = next(starts)
        spec = replace(specs[person], output_uri=f"gs://team-bucket/run{below}")
        return tuning.create(person, key=uuid4(), spec=spec)

    results = at_once(start)
    made = TuningJob.objects.filter(pk__in=[job.pk for job in results if isinstance(job, TuningJob)])
    assert made.count() == TuningJob.objects.count() >= 1
    assert len(set(made.values_list("owner", flat=True))) == 1


@pytest.mark.threat("T19")
def test_a_link_signs_in_once(owner):
    for _ in range(5):
        token = accounts.issue_link(owner, valid=timedelta(minutes=5))
        found = at_once(lambda token=token: accounts.redeem(token))
        assert [user for user in found if user] == [owner]
