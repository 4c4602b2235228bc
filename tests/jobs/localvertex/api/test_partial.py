import pytest
from google.cloud.aiplatform_v1beta1.types import Endpoint, ListEndpointsResponse

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.api.partial import keep_fields
from jobs.localvertex.api.wire import descriptor_of, render

PAGE = ListEndpointsResponse(
    endpoints=[
        Endpoint(name="a", display_name="A", labels={"x": "1", "y": "2"}, traffic_split={"1": 100}),
        Endpoint(name="b", display_name="B"),
    ],
    next_page_token="more",
)


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ("nextPageToken", {"nextPageToken": "more"}),
        ("endpoints/name", {"endpoints": [{"name": "a"}, {"name": "b"}]}),
        ("endpoints(name, labels/x)", {"endpoints": [{"name": "a", "labels": {"x": "1"}}, {"name": "b"}]}),
        ("endpoints.display_name,next_page_token",
         {"endpoints": [{"displayName": "A"}, {"displayName": "B"}], "nextPageToken": "more"}),
        ("*", render(PAGE)),
        ("*/name", {"endpoints": [{"name": "a"}, {"name": "b"}], "nextPageToken": "more"}),
    ],
)  # fmt: skip
def test_kept(fields, kept):
    assert keep_fields(render(PAGE), descriptor_of(ListEndpointsResponse), fields) == kept


@pytest.mark.parametrize(
    "fields", ["shoes", "endpoints/shoes", "endpoints(name", "endpoints)", "(", ",", "a b c;", "nextPageToken/x",
               "endpoints(" * 200, "/", "endpoints//name"],
)  # fmt: skip
def test_refused(fields):
    with pytest.raises(ApiError, match="Error expanding 'fields' parameter"):
        keep_fields(render(PAGE), descriptor_of(ListEndpointsResponse), fields)
