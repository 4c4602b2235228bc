"""The machines of a deployed model: what may be asked for, and what is shown of it. All of it is kept; of what this
machine can do, scaling to zero is done."""

from datetime import timedelta
from typing import Any

from google.cloud.aiplatform_v1beta1.types import DedicatedResources, ReservationAffinity

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.models.machines import USUAL_MACHINE, check_machine, runs_on, spec_of
from jobs.localvertex.resources.artifacts import Artifact
from jobs.localvertex.resources.call import Parts

SHORTEST_IDLE, LONGEST_IDLE = timedelta(minutes=5), timedelta(hours=8)
LONGEST_FLEX_START = timedelta(days=7)
PERCENT = 100
OF_PERCENT = ("/duty_cycle", "/cpu/utilization", "_gpu_util", "_cache_usage_perc")


def check_resources(resources: DedicatedResources, field: str) -> None:
    check_machine(resources.machine_spec, f"{field}.machine_spec")
    check_replicas(resources, field)
    _check_idle(resources, f"{field}.scale_to_zero_spec")
    _check_autoscaling(resources, f"{field}.autoscaling_metric_specs")
    _check_reservation(resources.machine_spec.reservation_affinity, f"{field}.machine_spec.reservation_affinity")
    runtime = resources.flex_start.max_runtime_duration
    if "flex_start" in resources and not timedelta(0) < (runtime or timedelta(0)) <= LONGEST_FLEX_START:
        place = f"{field}.flex_start.max_runtime_duration"
        raise invalid(f"{place} must be more than 0 and at most {_seconds(LONGEST_FLEX_START)}.", place)
    if "flex_start" in resources and resources.spot:
        raise invalid("spot and flex_start exclude each other.", f"{field}.spot")


def check_replicas(resources: DedicatedResources, field: str) -> None:
    low, high = resources.min_replica_count, resources.max_replica_count
    if low < 0 or high < 0 or (high and low > high):
        raise invalid("min_replica_count must be at least 1 and at most max_replica_count.", f"{field}.replica_count")
    first = resources.initial_replica_count
    if first < 0 or first > max(high, 1) or (first and low):
        place = f"{field}.initial_replica_count"
        raise invalid(f"{place} is for a min_replica_count of 0, from 1 to max_replica_count.", place)


def resources_of(parts: Parts, artifact: Artifact, wanted: DedicatedResources) -> DedicatedResources:
    """What a deployed model shows: what was asked for, and this machine where none was. As on Google Cloud, one of
    Google's."""
    shown = DedicatedResources(wanted)
    if parts.as_google and not wanted.machine_spec.machine_type:
        offered = artifact.base.machines if artifact.base else ()
        shown.machine_spec = spec_of(offered[0] if offered else USUAL_MACHINE)
    shown.machine_spec.machine_type = shown.machine_spec.machine_type or next(iter(artifact.machines), "")
    fill_replicas(shown)
    return shown


def labels_of(parts: Parts, resources: DedicatedResources) -> dict[str, str]:
    return {} if parts.as_google else runs_on(resources.machine_spec)


def fill_replicas(resources: DedicatedResources) -> None:
    """A minimum of 0 looks like one that was not sent; what else was sent tells."""
    if not scales_to_zero(resources):
        resources.min_replica_count = resources.min_replica_count or 1
    resources.max_replica_count = max(resources.max_replica_count, resources.min_replica_count, 1)


def scales_to_zero(resources: DedicatedResources) -> bool:
    asks = "scale_to_zero_spec" in resources or resources.initial_replica_count > 0
    return asks and not resources.min_replica_count


def idle_seconds(resources: DedicatedResources) -> float | None:
    """After which its model server is to be stopped; None: as this server does it by itself. Google's default is an
    hour."""
    if not scales_to_zero(resources):
        return None
    found: Any = resources.scale_to_zero_spec.idle_scaledown_period
    return float(found.total_seconds()) if found else timedelta(hours=1).total_seconds()


def _check_idle(resources: DedicatedResources, field: str) -> None:
    for name in ("idle_scaledown_period", "min_scaleup_period"):
        period = getattr(resources.scale_to_zero_spec, name)
        if period and not SHORTEST_IDLE <= period <= LONGEST_IDLE:
            least, most = _seconds(SHORTEST_IDLE), _seconds(LONGEST_IDLE)
            raise invalid(f"{field}.{name} must be from {least} to {most}.", f"{field}.{name}")


def _check_autoscaling(resources: DedicatedResources, field: str) -> None:
    names = [one.metric_name for one in resources.autoscaling_metric_specs]
    if len(names) != len(set(names)):
        raise invalid("At most one target is allowed for each metric.", field)
    for one in resources.autoscaling_metric_specs:
        if not one.metric_name:
            raise invalid(f"{field}.metric_name is required.", f"{field}.metric_name")
        most = PERCENT if one.metric_name.endswith(OF_PERCENT) else None
        if one.target < 0 or (most and one.target > most):
            words = f"from 1 to {most}" if most else "at least 1"
            raise invalid(f"{field}.target of {one.metric_name} must be {words}.", f"{field}.target")


def _check_reservation(affinity: ReservationAffinity, field: str) -> None:
    specific = ReservationAffinity.Type.SPECIFIC_RESERVATION
    names = bool(affinity.key and affinity.values)
    if affinity.reservation_affinity_type == specific and not names:
        raise invalid("SPECIFIC_RESERVATION needs the key and the values that name reservations.", f"{field}.values")
    if affinity.reservation_affinity_type != specific and (affinity.key or affinity.values):
        raise invalid("key and values are for SPECIFIC_RESERVATION only.", f"{field}.values")


def _seconds(period: timedelta) -> str:
    return f"{period.total_seconds():.0f}s"
