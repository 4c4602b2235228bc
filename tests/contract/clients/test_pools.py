"""Deployment resource pools by the SDK."""

from typing import Any

import pytest

aiplatform = pytest.importorskip("google.cloud.aiplatform")
from google.cloud.aiplatform.models import DeploymentResourcePool  # noqa: E402


@pytest.mark.usefixtures("vertexai_sdk")
def test_by_the_sdk(server):
    name = server.until(server.create(server.job()).name, "SUCCEEDED").tuned_model.model
    pool: Any = DeploymentResourcePool.create("by-the-sdk", machine_type="g2-standard-12", max_replica_count=2)
    assert pool.resource_name in [one.resource_name for one in DeploymentResourcePool.list()]
    endpoint = aiplatform.Endpoint.create(display_name="On a pool")
    model = aiplatform.Model(name)
    model.deploy(endpoint=endpoint, deployment_resource_pool=pool)
    (deployed,) = endpoint.list_models()
    assert deployed.shared_resources == pool.resource_name
    refs = [one for page in pool.query_deployed_models() for one in page]
    assert [one.deployed_model_id for one in refs] == [deployed.id]
    endpoint.undeploy_all()
    pool.delete()
    assert pool.resource_name not in [one.resource_name for one in DeploymentResourcePool.list()]
