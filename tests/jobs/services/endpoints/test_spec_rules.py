"""Values of endpoints and deployed models that may not be, and the sentences for them."""

from typing import Any

import pytest

from jobs.errors import InvalidValues
from jobs.models import LeaseKind
from jobs.services.endpoints import spec_rules

REPLICAS = "Enter a whole number from 1 to 100."
HOURS = "Enter a whole number of hours from 1 to 720."
KIND = "Select when the model is undeployed."
SHARE = "Enter a whole number from 0 to 100."


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"min_replicas": 1, "max_replicas": 100}, []),
        ({"min_replicas": 0, "max_replicas": 1}, [("out_of_range", "min_replicas", REPLICAS)]),
        ({"min_replicas": 1, "max_replicas": 101}, [("out_of_range", "max_replicas", REPLICAS)]),
        ({"min_replicas": True, "max_replicas": 1.0}, [
            ("out_of_range", "min_replicas", REPLICAS), ("out_of_range", "max_replicas", REPLICAS)
        ]),
        ({"min_replicas": 3, "max_replicas": 2}, [
            ("below_minimum", "max_replicas", "The maximum can't be smaller than the minimum.")
        ]),
        ({"min_replicas": 3}, []),
        ({"lease_kind": "", "lease_hours": None}, []),
        ({"lease_kind": LeaseKind.IDLE, "lease_hours": 720}, []),
        ({"lease_kind": LeaseKind.FIXED, "lease_hours": None}, [("out_of_range", "lease_hours", HOURS)]),
        ({"lease_kind": LeaseKind.FIXED, "lease_hours": 0}, [("out_of_range", "lease_hours", HOURS)]),
        ({"lease_kind": LeaseKind.IDLE, "lease_hours": 721}, [("out_of_range", "lease_hours", HOURS)]),
        ({"lease_kind": "", "lease_hours": 2}, [("invalid_choice", "lease_kind", KIND)]),
        ({"lease_kind": "weekly", "lease_hours": 2}, [("invalid_choice", "lease_kind", KIND)]),
        ({"share": 0}, []),
        ({"share": 101}, [("out_of_range", "share", SHARE)]),
        ({"share": False}, [("out_of_range", "share", SHARE)]),
        ({"traffic_split": {"a": 60, "b": 40}}, []),
        ({"traffic_split": {"a": 60, "b": 41}}, [
            ("wrong_sum", "traffic_split", "The traffic split must add up to 100%. It adds up to 101%.")
        ]),
        ({"traffic_split": {"a": -1, "b": 101}}, [("wrong_sum", "traffic_split", SHARE)]),
        ({"display_name": ""}, [("required", "display_name", "Enter a name.")]),
        ({"model_display_name": ""}, []),
        ({"model_display_name": "a\nb"}, [("control_characters", "model_display_name",
            "A name must be one line of text. Remove line breaks and other control characters.")]),
        ({"something": "else"}, []),
    ],
)  # fmt: skip
def test_what_may_be_and_what_is_said_of_the_rest(values: dict[str, Any], found: list[tuple[str, str, str]]) -> None:
    problems = spec_rules.find_problems(values)
    assert [(problem.code, problem.field, problem.sentence) for problem in problems] == found


def test_a_refusal_has_all_that_is_wrong() -> None:
    with pytest.raises(InvalidValues) as refused:
        spec_rules.validate(min_replicas=0, max_replicas=1, lease_kind="", lease_hours=2)
    assert [problem.field for problem in refused.value.problems] == ["min_replicas", "lease_kind"]
    assert str(refused.value) == f"{REPLICAS} {KIND}"
