"""Machines as Google's documentation lets them be asked for: kept as they were sent, or refused."""

from datetime import timedelta

import pytest
from google.cloud.aiplatform_v1beta1.types import DedicatedResources

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.resources.dedicated import check_resources, fill_replicas, idle_seconds, scales_to_zero

NAMES = {"key": "compute.googleapis.com/reservation-name", "values": ["projects/p/zones/z/reservations/r"]}
GPU = "aiplatform.googleapis.com/prediction/online/accelerator/duty_cycle"


def resources(**values):
    return DedicatedResources({"machine_spec": {"machine_type": "g2-standard-12"}} | values)


def affinity(**values):
    return {"machine_spec": {"machine_type": "g2-standard-12", "reservation_affinity": values}}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"min_replica_count": 0, "max_replica_count": 2, "initial_replica_count": 2},
        {"scale_to_zero_spec": {"idle_scaledown_period": timedelta(minutes=5)}},
        {"scale_to_zero_spec": {"min_scaleup_period": timedelta(hours=8)}},
        {"flex_start": {"max_runtime_duration": timedelta(days=7)}},
        {"autoscaling_metric_specs": [{"metric_name": GPU, "target": 100}]},
        {"autoscaling_metric_specs": [{"metric_name": "a/request_count", "target": 900}]},
        affinity(reservation_affinity_type="ANY_RESERVATION"),
        affinity(reservation_affinity_type="SPECIFIC_RESERVATION", **NAMES),
    ],
)
def test_what_may_be_asked_for(values):
    assert check_resources(resources(**values), "r") is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"min_replica_count": 3, "max_replica_count": 2}, "min_replica_count must be at least 1"),
        ({"min_replica_count": 1, "max_replica_count": 2, "initial_replica_count": 1}, "for a min_replica_count of 0"),
        ({"max_replica_count": 2, "initial_replica_count": 3}, "from 1 to max_replica_count"),
        ({"scale_to_zero_spec": {"idle_scaledown_period": timedelta(seconds=299)}}, "must be from 300s to 28800s"),
        ({"scale_to_zero_spec": {"min_scaleup_period": timedelta(hours=9)}}, "r.scale_to_zero_spec.min_scaleup_period"),
        ({"flex_start": {}}, "must be more than 0 and at most 604800s"),
        ({"flex_start": {"max_runtime_duration": timedelta(days=8)}}, "at most 604800s"),
        ({"flex_start": {"max_runtime_duration": timedelta(days=1)}, "spot": True}, "exclude each other"),
        ({"autoscaling_metric_specs": [{"metric_name": GPU, "target": 101}]}, "must be from 1 to 100"),
        ({"autoscaling_metric_specs": [{"target": 10}]}, "metric_name is required"),
        ({"autoscaling_metric_specs": [{"metric_name": GPU}] * 2}, "At most one target"),
        (affinity(reservation_affinity_type="SPECIFIC_RESERVATION"), "needs the key and the values"),
        (affinity(reservation_affinity_type="ANY_RESERVATION", **NAMES), "for SPECIFIC_RESERVATION only"),
    ],
)
def test_what_may_not(values, words):
    with pytest.raises(ApiError, match=words) as error:
        check_resources(resources(**values), "r")
    assert error.value.status == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("values", "low", "high", "idle"),
    [
        ({}, 1, 1, None),
        ({"min_replica_count": 2}, 2, 2, None),
        ({"initial_replica_count": 1, "max_replica_count": 3}, 0, 3, 3600.0),
        ({"scale_to_zero_spec": {"idle_scaledown_period": timedelta(minutes=10)}}, 0, 1, 600.0),
        (
            {"min_replica_count": 1, "scale_to_zero_spec": {"idle_scaledown_period": timedelta(minutes=10)}},
            1, 1, None,
        ),
    ],
)  # fmt: skip
def test_none_at_the_least_only_for_what_scales_to_zero(values, low, high, idle):
    filled = resources(**values)
    fill_replicas(filled)
    assert (filled.min_replica_count, filled.max_replica_count) == (low, high)
    assert (idle_seconds(filled), scales_to_zero(filled)) == (idle, idle is not None)
