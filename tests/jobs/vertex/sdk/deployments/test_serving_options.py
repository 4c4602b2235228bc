"""What the code of the console's pages asks for is what its gateway sends."""

import json

import pytest
from google.cloud.aiplatform_v1beta1 import types

from console.presenters.catalogue import deploy_code
from jobs.models import DeployedModel
from jobs.services.endpoints.creations import DeployWithEndpoint
from jobs.vertex.sdk.deployments.deployment import _request
from tests.support import factories

pytestmark = pytest.mark.django_db
NAMES = ["projects/p/zones/us-central1-a/reservations/one"]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"spot": True},
        {"shared_address": True},
        {"min_replicas": 0, "serving_options": {"idle_minutes": 20, "autoscaling": {"gpu": 70, "waiting": 3}}},
        {"serving_options": {"reservation": "SPECIFIC_RESERVATION", "reservations": NAMES}},
        {"serving_options": {"reservation": "ANY_RESERVATION", "flex_start_hours": 168}},
        {"serving_options": {"endpoint_labels": {"team": "support"}}},
        {"serving_options": {"precision": "q8_0"}},
    ],
)
def test_code_and_gateway_ask_for_the_same(values):
    machine = {"machine_type": "g2-standard-12", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1}
    made = factories.endpoint(**machine | {"max_replicas": 2, "accepts_licence": True} | values)
    row = DeployedModel.objects.select_related("endpoint").get(pk=made.pk)
    shown = types.DeployRequest.from_json(json.dumps(deploy_code.body(row.publisher_model, row, accepts_licence=True)))
    sent = _request(DeployWithEndpoint(row)._spec())
    assert shown.deploy_config.dedicated_resources == sent.deploy_config.dedicated_resources
    assert (shown.publisher_model_name, shown.model_config.accept_eula) == (sent.publisher_model_name, True)
    assert shown.endpoint_config.dedicated_endpoint_disabled == sent.endpoint_config.dedicated_endpoint_disabled
    ours = set(sent.deploy_config.system_labels) - set(shown.deploy_config.system_labels)
    assert {label.partition("-")[0] for label in ours} == {"app"}
    precision = row.serving_options.get("precision")
    assert sent.deploy_config.system_labels.get("local-serving-quantization") == precision
