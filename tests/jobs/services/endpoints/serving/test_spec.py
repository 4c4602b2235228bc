from typing import Any

import pytest

from jobs.services.endpoints.serving import spec
from jobs.services.endpoints.serving.spec import ServingOptions, find_conflicts, find_problems, list_offered

NAME = "projects/p/zones/us-central1-a/reservations/mine"
GPU: dict[str, Any] = {"machine_type": "g2-standard-12", "accelerators": 1}
GOOD = ServingOptions(
    idle_minutes=5, reservation="SPECIFIC_RESERVATION", reservations=(NAME,), autoscaling={"gpu": 100, "requests": 900},
    service_account="me@p.iam.gserviceaccount.com", endpoint_labels={"team": "support"},
)  # fmt: skip


def fields(problems):
    return [(problem.field, problem.code) for problem in problems]


def test_what_is_right():
    assert (list(find_problems(GOOD)), list(find_conflicts(GOOD, **GPU))) == ([], [])
    assert (list(find_problems(ServingOptions())), ServingOptions().is_plain) == ([], True)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"idle_minutes": 4}, ("idle_minutes", "out_of_range")),
        ({"idle_minutes": 481}, ("idle_minutes", "out_of_range")),
        ({"idle_minutes": True}, ("idle_minutes", "out_of_range")),
        ({"flex_start_hours": 0}, ("flex_start_hours", "out_of_range")),
        ({"flex_start_hours": 169}, ("flex_start_hours", "out_of_range")),
        ({"autoscaling": {"gpu": 101}}, ("autoscaling_gpu", "out_of_range")),
        ({"autoscaling": {"requests": 0}}, ("autoscaling_requests", "out_of_range")),
        ({"autoscaling": {"requests": 1_000_001}}, ("autoscaling_requests", "out_of_range")),
        ({"autoscaling": {"moon": 50}}, ("autoscaling", "invalid_choice")),
        ({"service_account": "me@example.com"}, ("service_account", "invalid")),
        ({"service_account": "a@b.gserviceaccount.com\n"}, ("service_account", "invalid")),
        ({"endpoint_labels": {"Team": "x"}}, ("endpoint_labels", "invalid")),
        ({"precision": "q2_k"}, ("precision", "invalid_choice")),
        ({"endpoint_labels": {"app-key": "x"}}, ("endpoint_labels", "invalid")),
        ({"reservation": "ALL"}, ("reservation", "invalid_choice")),
        ({"reservation": "SPECIFIC_RESERVATION"}, ("reservations", "required")),
        ({"reservation": "SPECIFIC_RESERVATION", "reservations": (NAME,) * 11}, ("reservations", "required")),
        ({"reservation": "SPECIFIC_RESERVATION", "reservations": ("mine",)}, ("reservations", "invalid")),
        ({"reservation": "ANY_RESERVATION", "reservations": (NAME,)}, ("reservations", "not_offered")),
    ],
)
def test_what_is_wrong(values, found):
    assert fields(find_problems(ServingOptions(**values))) == [found]


@pytest.mark.parametrize(
    ("values", "where", "found"),
    [
        ({"idle_minutes": 60}, {"shared_address": True}, "idle_minutes"),
        ({"flex_start_hours": 2}, {"spot": True}, "flex_start_hours"),
        ({"flex_start_hours": 2}, {"machine_type": "ct5lp-hightpu-4t", "accelerators": 0}, "flex_start_hours"),
        ({"flex_start_hours": 2, "reservation": "ANY_RESERVATION"}, {}, "reservation"),
        ({"reservation": "ANY_RESERVATION"}, {"spot": True}, "reservation"),
        ({"autoscaling": {"gpu": 60}}, {"machine_type": "n1-standard-4", "accelerators": 0}, "autoscaling_gpu"),
        ({"idle_minutes": 60}, {"machine_type": "", "accelerators": 0}, "machine"),
    ],
)
def test_what_does_not_go_together(values, where, found):
    assert [one.field for one in find_conflicts(ServingOptions(**values), **GPU | where)] == [found]


def test_google_serves_weights_as_they_are(settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    assert list(find_conflicts(ServingOptions(precision="q8_0"), machine_type="", accelerators=0)) == []
    settings.VERTEX_API_ENDPOINT = ""
    (problem,) = find_conflicts(ServingOptions(precision="q8_0"), **GPU)
    assert (problem.field, problem.code, problem.sentence) == (
        "precision", "not_offered", "Vertex AI serves a model in the precision of its weights. Leave this empty.",
    )  # fmt: skip


def test_labels_need_no_machine():
    labelled = ServingOptions(endpoint_labels={"a": "b"})
    assert list(find_conflicts(labelled, machine_type="", accelerators=0)) == []


def test_a_row_keeps_what_was_asked_for_and_no_more():
    kept = GOOD.as_json()
    assert kept["reservations"] == [NAME]
    assert "flex_start_hours" not in kept
    assert ServingOptions.from_json({**kept, "of another version": 1}) == GOOD


def test_what_is_offered_where():
    alone = list_offered(accelerators=False, is_local=True, beside=False)
    local = ["context_tokens", "endpoint_labels", "precision"]
    assert alone == ["idle_minutes", *local]
    assert list_offered(accelerators=True, is_local=True, beside=True) == local
    of_cpu = list_offered(accelerators=False, is_local=False, beside=False)
    assert {"context_tokens", "precision"}.isdisjoint(of_cpu)
    assert [name for name in of_cpu if name.startswith("autoscaling")] == ["autoscaling_cpu", "autoscaling_requests"]
    beside = list_offered(accelerators=True, is_local=False, beside=True)
    assert ("service_account" in beside, "idle_minutes" in beside, "autoscaling_waiting" in beside) == (
        True, False, True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        ({}, True),
        (GOOD.as_json(), True),
        ({"idle_minutes": "5"}, False),
        ({"idle_minutes": True}, False),
        ({"autoscaling": {"gpu": "60"}}, False),
        ({"autoscaling": []}, False),
        ({"reservations": NAME}, False),
        ({"endpoint_labels": {"a": 1}}, False),
        ({"service_account": None}, False),
        ({"precision": "f16"}, True),
        ({"precision": 16}, False),
        ({"moon": 1}, False),
        ([], False),
    ],
)
def test_types_of_what_a_file_says(value, is_one):
    assert spec.is_json_of_options(value) is is_one
