import pytest
from google.api_core.exceptions import BadRequest, NotFound
from google.cloud import aiplatform_v1beta1 as vertex
from google.cloud.aiplatform_v1beta1.services.prediction_service import PredictionServiceClient
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Value

from tests.jobs.localvertex.servers import PARENT, TINY_NAME, wait_for

ROW = {"prompt": "Hi", "completion": "Hello"}


def count(server, *rows, model=TINY_NAME):
    request = vertex.CountTokensRequest(endpoint=f"{PARENT}/{model}")
    vertex.CountTokensRequest.pb(request).instances.extend(json_format.ParseDict(row, Value()) for row in rows)
    return server.client(PredictionServiceClient).count_tokens(request, retry=None).total_tokens


def pace(server):
    model = server.garden.get_publisher_model(name=TINY_NAME)
    facts = {entry.title: entry.content for entry in model.supported_actions.view_rest_api.documentations}
    return facts.get("Training pace")


def test_rows_are_counted_by_the_engine(server):
    assert count(server, ROW, ROW) == 20


def test_a_model_that_was_counted_for_is_tried(server):
    """A full tuning, which the engine refuses to try, has no pace."""
    count(server, ROW)
    wait_for(lambda: pace(server), server.log)
    assert pace(server) == '{"PEFT_ADAPTER": {"load": 5.0, "step": 0.5, "token": 0.01}}'


def test_what_is_no_row_of_a_model_here_is_refused(server):
    with pytest.raises(BadRequest, match=r"instances"):
        count(server)
    with pytest.raises(NotFound, match=r"does not exist"):
        count(server, ROW, model="publishers/google/models/none@none")
    with pytest.raises(BadRequest, match=r"no weights on this machine"):
        count(server, ROW, model="publishers/google/models/gemma3@gemma-3-27b-it")
