"""The rules are made by Google's conventions; its own generated clients say whether they are right."""

import importlib
import re

import pytest

from jobs.localvertex.app import MODULES
from jobs.localvertex.grpc_api.methods import OPERATION_CALLS, camel, table
from jobs.localvertex.inference import METHODS as INFERENCE_METHODS

REST_ONLY = {"completions"}  # OpenAI's API, which Google's services have no method for
METHODS = {route.method for module in MODULES for route in module.ROUTES} | set(INFERENCE_METHODS.values())


def google_rules(version, service, rpc):
    """As the REST client of Google's package has them."""
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", service).lower()
    base = importlib.import_module(f"google.cloud.aiplatform_{version}.services.{snake}.transports.rest_base")
    transport = getattr(base, f"_Base{service}RestTransport")
    return getattr(transport, f"_Base{rpc}")._get_http_options()


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_every_rule_is_one_of_googles(version):
    own = {name: rpc for name, rpc in table().items() if rpc.version == version and rpc.rules}
    strange = []
    for name, rpc in own.items():
        service, _, method = name.rpartition(".")[2].partition("/")
        theirs = [(one["uri"], one.get("body", "")) for one in google_rules(version, service, method)]
        ours = [(one["uri"], one.get("body", "")) for one in rpc.rules]
        if not set(ours) & set(theirs):
            strange.append((name, ours, theirs))
    assert (strange, len(own) > 30) == ([], True)


def test_every_call_of_http_has_a_method_of_grpc():
    assert METHODS - {rpc.method for rpc in table().values()} == REST_ONLY


def test_operations_have_no_version():
    assert {name for name in table() if "longrunning" in name} == {
        f"/google.longrunning.Operations/{camel(name)}" for name in OPERATION_CALLS
    }
