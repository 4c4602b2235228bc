"""What is asked for beside machine and replicas, in Google's messages and out of them."""

from datetime import timedelta
from typing import Any

from google.cloud.aiplatform_v1beta1 import types

from jobs.vertex.sdk.messages import enum_name, raw
from jobs.vertex.values import ServingOptions

LOCAL_IMAGE = "llama.cpp"
BY_NAME = "compute.googleapis.com/reservation-name"


def fill_in(resources: Any, options: ServingOptions) -> None:
    resources.autoscaling_metric_specs = [
        types.AutoscalingMetricSpec(metric_name=name, target=target)
        for name, target in sorted(options.autoscaling.items())
    ]
    if options.reservation:
        resources.machine_spec.reservation_affinity = _affinity(options)
    if options.flex_start_seconds:
        resources.flex_start = types.FlexStart(max_runtime_duration=timedelta(seconds=options.flex_start_seconds))
    if options.idle_seconds and not resources.min_replica_count:
        _scale_to_zero(resources, timedelta(seconds=options.idle_seconds))


def container_for(options: ServingOptions, container: Any = None) -> Any:
    """With the context that is asked for among its arguments, as vLLM takes it. `container`: what is there without."""
    if options.context_tokens is None:
        return container
    wanted = types.ModelContainerSpec(container) if container else types.ModelContainerSpec(image_uri=LOCAL_IMAGE)
    wanted.args = [*wanted.args, f"--max-model-len={options.context_tokens}"]
    return wanted


def _affinity(options: ServingOptions) -> Any:
    if not options.reservations:
        return types.ReservationAffinity(reservation_affinity_type=options.reservation)
    return types.ReservationAffinity(
        reservation_affinity_type=options.reservation, key=BY_NAME, values=list(options.reservations)
    )


def _scale_to_zero(resources: Any, idle: timedelta) -> None:
    """Once awake it would stay so for an hour, whatever the other period says, if that were not said, too."""
    resources.initial_replica_count = 1
    resources.scale_to_zero_spec = types.DedicatedResources.ScaleToZeroSpec(
        idle_scaledown_period=idle, min_scaleup_period=idle
    )


def parse_options(model: Any) -> ServingOptions:
    """Of a deployed model. The console's own labels are among them: nobody can tell whose a system label is."""
    resources = model.dedicated_resources
    affinity = resources.machine_spec.reservation_affinity
    kind = raw(affinity).reservation_affinity_type
    idle = resources.scale_to_zero_spec.idle_scaledown_period
    runtime = resources.flex_start.max_runtime_duration
    return ServingOptions(
        idle_seconds=int(idle.total_seconds()) if idle and not resources.min_replica_count else None,
        reservation=enum_name(types.ReservationAffinity.Type, kind) if kind else "",
        reservations=tuple(affinity.values),
        flex_start_seconds=int(runtime.total_seconds()) if runtime else None,
        autoscaling={one.metric_name: one.target for one in resources.autoscaling_metric_specs},
        service_account=model.service_account,
        labels=dict(model.system_labels),
    )
