"""The request that deploys a model as an endpoint of the console was deployed, for a program."""

from typing import Any

from jobs.models import DeployedModel, Endpoint
from jobs.services.endpoints import creations
from jobs.services.endpoints.serving import spec
from jobs.services.endpoints.serving.spec import ServingOptions

LOCAL_IMAGE = "llama.cpp"
BY_NAME = "compute.googleapis.com/reservation-name"


def find_deployment(endpoint: Endpoint | None, model: str) -> DeployedModel | None:
    """What is repeated: a base model on machines of its own."""
    found = endpoint.main_model if endpoint else None
    return found if found and found.publisher_model == model and found.machine_type else None


def body(model: str, row: DeployedModel | None, *, accepts_licence: bool) -> dict[str, Any]:
    """As JSON of `DeployRequest`, without names: those are chosen anew."""
    found: dict[str, Any] = {"publisherModelName": f"publishers/{model.replace('/', '/models/', 1)}"}
    if accepts_licence:
        found["modelConfig"] = {"acceptEula": True}
    if row is None:
        return found
    if context := row.serving_options.get("context_tokens"):
        container = {"imageUri": LOCAL_IMAGE, "args": [f"--max-model-len={context}"]}
        found.setdefault("modelConfig", {})["containerSpec"] = container
    if row.endpoint.shared_address:
        found["endpointConfig"] = {"dedicatedEndpointDisabled": True}
    options = ServingOptions.from_json(row.serving_options)
    config: dict[str, Any] = {"dedicatedResources": _resources(row, options)}
    if labels := creations.system_labels(options):
        config["systemLabels"] = labels
    return found | {"deployConfig": config}


def _resources(row: DeployedModel, options: ServingOptions) -> dict[str, Any]:
    machine: dict[str, Any] = {"machineType": row.machine_type}
    if row.accelerator_type:
        machine |= {"acceleratorType": row.accelerator_type, "acceleratorCount": row.accelerator_count}
    if options.reservation:
        machine["reservationAffinity"] = {"reservationAffinityType": options.reservation} | (
            {"key": BY_NAME, "values": list(options.reservations)} if options.reservations else {}
        )
    found: dict[str, Any] = {
        "machineSpec": machine, "minReplicaCount": row.min_replicas, "maxReplicaCount": row.max_replicas,
    }  # fmt: skip
    if options.idle_minutes is not None and not row.min_replicas:
        idle = f"{options.idle_minutes * 60}s"
        found["initialReplicaCount"] = 1
        found["scaleToZeroSpec"] = {"idleScaledownPeriod": idle, "minScaleupPeriod": idle}
    if options.autoscaling:
        targets = sorted((spec.METRICS[name], target) for name, target in options.autoscaling.items())
        found["autoscalingMetricSpecs"] = [{"metricName": name, "target": target} for name, target in targets]
    if options.flex_start_hours is not None:
        found["flexStart"] = {"maxRuntimeDuration": f"{options.flex_start_hours * 3600}s"}
    return found | ({"spot": True} if row.spot else {})


def sdk_arguments(row: DeployedModel, *, accepts_licence: bool) -> dict[str, Any] | None:
    """Of `OpenModel.deploy`; None where it has none for what is asked for."""
    options = ServingOptions.from_json(row.serving_options)
    without_one = (options.flex_start_hours, options.idle_minutes, options.context_tokens)
    if options.autoscaling or without_one != (None, None, None):
        return None
    found = {
        "accept_eula": accepts_licence,
        "machine_type": row.machine_type,
        "accelerator_type": row.accelerator_type,
        "accelerator_count": row.accelerator_count,
        "min_replica_count": row.min_replicas,
        "max_replica_count": row.max_replicas,
        "spot": row.spot,
        "reservation_affinity_type": options.reservation,
        "reservation_affinity_key": BY_NAME if options.reservations else "",
        "reservation_affinity_values": list(options.reservations),
        "dedicated_endpoint_disabled": row.endpoint.shared_address,
        "system_labels": creations.system_labels(options),
    }
    return {name: value for name, value in found.items() if value}
