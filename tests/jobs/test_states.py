import pytest
from django.core.management import CommandError, call_command

from jobs import states
from jobs.errors import InvalidTransition

TABLES = {
    states.TuningState: states.TUNING_TRANSITIONS,
    states.EndpointState: states.ENDPOINT_TRANSITIONS,
    states.Phase: states.PHASE_TRANSITIONS,
    states.MessageState: states.MESSAGE_TRANSITIONS,
}


@pytest.mark.parametrize("choices", TABLES)
def test_each_state_has_its_moves(choices):
    table = TABLES[choices]
    assert set(choices.values) >= set(table)
    assert set().union(*table.values()) <= set(table)


@pytest.mark.parametrize("choices", TABLES)
def test_what_is_not_in_the_table_is_refused(choices):
    table = TABLES[choices]
    for old in table:
        for new in set(table) - table[old] - {old}:
            with pytest.raises(InvalidTransition):
                states.check(table, old, new)


def test_what_has_ended_stays_ended():
    ended = {"SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"}
    assert ended == states.TUNING_TERMINAL


def test_an_end_may_be_seen_from_wherever_the_last_look_was():
    live = {state: states.TUNING_TRANSITIONS[state] for state in states.TUNING_LIVE}
    assert {state for state, after in live.items() if states.TUNING_TERMINAL - after} == set()


def test_the_drawing_is_up_to_date():
    call_command("statemachine", check=True)


def test_a_stale_drawing_is_noticed(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    with pytest.raises(CommandError, match="docs/states.md is stale"):
        call_command("statemachine", check=True)
    call_command("statemachine")
    call_command("statemachine", check=True)
    assert "    QUEUED --> CANCELLED\n" in (tmp_path / "docs" / "states.md").read_text()
