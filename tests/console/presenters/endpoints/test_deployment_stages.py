from datetime import timedelta

import pytest

from console.presenters.endpoints.deployment_stages import stages
from jobs.models import DeployedModel
from tests.support.factories import NOW


def shown(state, *seen):
    times = [[stage, (NOW + timedelta(seconds=second)).isoformat()] for stage, second in seen]
    model = DeployedModel(state=state, stage=seen[-1][0] if seen else "", stage_times=times)
    return [(str(stage.label), stage.state) for stage in stages(model)]


def test_before_the_first_report_all_of_them_are_ahead():
    assert {state for _label, state in shown("DEPLOYING")} == {"todo"}


def test_a_computer_that_serves_the_model_itself_waits_for_no_machines(settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    assert shown("DEPLOYING", ("PREPARING_MODEL", 0)) == [
        ("Preparing the model", "current"), ("Starting the model server", "todo"), ("Finishing up", "todo"),
        ("Deployed", "todo"),
    ]  # fmt: skip


def test_what_was_skipped_is_not_shown():
    steps = [("PREPARING_MODEL", 0), ("STARTING_MODEL_SERVER", 9)]
    assert shown("DEPLOYING", *steps) == [
        ("Preparing the model", "done"), ("Starting the model server", "current"), ("Finishing up", "todo"),
        ("Deployed", "todo"),
    ]  # fmt: skip


def test_when_it_is_over_nothing_is_ahead():
    steps = [("PREPARING_MODEL", 0), ("SUCCESSFULLY_DEPLOYED", 9)]
    assert shown("READY", *steps) == [("Preparing the model", "done"), ("Deployed", "done")]


def test_a_failure_stopped_at_its_stage():
    steps = [("PREPARING_MODEL", 0), ("FAILED_TO_DEPLOY", 9)]
    assert shown("FAILED", *steps) == [("Preparing the model", "done"), ("The deployment failed", "stopped")]


def test_a_stage_that_nobody_knows_is_made_readable():
    assert shown("DEPLOYING", ("SOMETHING_NEW", 0)) == [("Something new", "current")]


@pytest.mark.parametrize(("state", "seconds"), [("READY", [9.0, None])])
def test_each_took_its_time(state, seconds):
    times = [["PREPARING_MODEL", NOW.isoformat()], ["SUCCESSFULLY_DEPLOYED", (NOW + timedelta(seconds=9)).isoformat()]]
    model = DeployedModel(state=state, stage="SUCCESSFULLY_DEPLOYED", stage_times=times)
    assert [stage.seconds for stage in stages(model)] == seconds
