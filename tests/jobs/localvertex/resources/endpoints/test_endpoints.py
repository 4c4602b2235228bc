from datetime import timedelta

import httpx
import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.cloud import aiplatform_v1beta1 as vertex
from google.protobuf import field_mask_pb2

from tests.jobs.localvertex.servers import PARENT


def create(server, endpoint_id="", **fields):
    request = vertex.CreateEndpointRequest(parent=PARENT, endpoint_id=endpoint_id)
    request.endpoint = vertex.Endpoint(**{"display_name": "An endpoint", **fields})
    return server.endpoints.create_endpoint(request).result(timeout=10)


def patch(server, endpoint, *paths):
    return server.endpoints.update_endpoint(endpoint=endpoint, update_mask=field_mask_pb2.FieldMask(paths=paths))


def test_created_with_a_chosen_id_once(server):
    made = create(server, "chosen", labels={"team": "a"}, description="Ours", dedicated_endpoint_enabled=True)
    assert (made.name, dict(made.labels), made.description) == (f"{PARENT}/endpoints/chosen", {"team": "a"}, "Ours")
    assert made.dedicated_endpoint_dns == server.url.removeprefix("http://")
    assert server.endpoints.get_endpoint(name=made.name) == made
    with pytest.raises(Conflict, match="endpoints/chosen already exists"):
        create(server, "chosen")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"display_name": ""}, "display_name field is required"),
        ({"display_name": "x" * 129}, "at most 128 characters"),
        ({"labels": {"A": "b"}}, "Label 'A'"),
        ({"traffic_split": {"1": 100}}, "set by deploying"),
        ({"network": "default"}, "Private endpoints are not supported"),
        ({"enable_private_service_connect": True}, "leave out enable_private_service_connect"),
        ({"private_service_connect_config": {"project_allowlist": ["p"]}}, "leave out private_service_connect_config"),
        ({"encryption_spec": {"kms_key_name": "k"}}, "Encryption keys are not supported"),
        ({"client_connection_config": {"inference_timeout": timedelta(hours=2)}}, "at most 3600 seconds"),
    ],
)
def test_refused_at_once(server, fields, message):
    with pytest.raises(BadRequest, match=message):
        create(server, **fields)


def test_bad_id(server):
    with pytest.raises(BadRequest, match="endpoint_id must start with a letter"):
        create(server, "Upper")


def test_patch_changes_what_the_mask_names(server):
    before = create(server, "patched", description="Old")
    changed = vertex.Endpoint(name=before.name, display_name="New", description="unused", labels={"a": "b"})
    after = patch(server, changed, "display_name", "labels")
    assert (after.display_name, after.description, dict(after.labels)) == ("New", "Old", {"a": "b"})
    assert after.etag != before.etag
    assert after.update_time > before.update_time


def test_stale_etag(server):
    first = create(server, "stale")
    second = patch(server, vertex.Endpoint(name=first.name, display_name="Two", etag=first.etag), "display_name")
    with pytest.raises(Conflict, match="Read it again"):
        patch(server, vertex.Endpoint(name=first.name, display_name="Three", etag=first.etag), "display_name")
    assert patch(server, vertex.Endpoint(name=first.name, display_name="Four", etag=second.etag), "display_name")


def test_bad_masks(server):
    endpoint = create(server, "masks")
    with pytest.raises(BadRequest, match="update_mask field is required"):
        patch(server, endpoint)
    with pytest.raises(BadRequest, match="'create_time' cannot be updated"):
        patch(server, endpoint, "create_time")
    with pytest.raises(BadRequest, match=r"'labels\.team' cannot be updated"):
        patch(server, endpoint, "labels.team")
    with pytest.raises(NotFound):
        patch(server, vertex.Endpoint(name=f"{PARENT}/endpoints/none"), "display_name")


def test_long_running_update(server):
    endpoint = create(server, "timed")
    endpoint.client_connection_config.inference_timeout = timedelta(seconds=900)
    changed = server.endpoints.update_endpoint_long_running(endpoint=endpoint).result(timeout=10)
    assert changed.client_connection_config.inference_timeout == timedelta(seconds=900)
    logging = {"enabled": True, "sampling_rate": 0.5}
    logged = vertex.Endpoint(name=endpoint.name, predict_request_response_logging_config=logging)
    changed = server.endpoints.update_endpoint_long_running(endpoint=logged).result(timeout=10)
    assert changed.predict_request_response_logging_config.sampling_rate == 0.5
    assert changed.client_connection_config.inference_timeout == timedelta(seconds=900)
    with pytest.raises(BadRequest, match=r"endpoint\.description cannot be updated"):
        server.endpoints.update_endpoint_long_running(endpoint={"name": endpoint.name, "description": "d"})


def test_list_filters_and_pages(server):
    for name in ("list-b", "list-a", "list-c"):
        create(server, name, display_name=name, labels={"listed": "yes"})
    request = vertex.ListEndpointsRequest(parent=PARENT, filter="labels.listed=yes", page_size=2)
    pages = [[one.display_name for one in page.endpoints] for page in server.endpoints.list_endpoints(request).pages]
    assert pages == [["list-c", "list-a"], ["list-b"]]


def listed(server, **query):
    request = vertex.ListEndpointsRequest(parent=PARENT, **query)
    return list(server.endpoints.list_endpoints(request))


def test_filters_that_google_documents(server):
    create(server, "filter-me", display_name="Filter me", labels={"filters": "a"})
    for expression in (
        "endpoint=filter-me", 'displayName="Filter me"', "labels.filters=a AND NOT endpoint=other", "labels:filters",
        '(endpoint=filter-me OR endpoint=nobody) AND labels."filters":*',
    ):  # fmt: skip
        assert [one.name.rpartition("/")[2] for one in listed(server, filter=expression)] == ["filter-me"]


def test_a_read_mask_leaves_the_rest_out(server):
    create(server, "masked-list", description="Long", labels={"masked": "yes"})
    mask = field_mask_pb2.FieldMask(paths=["name", "labels"])
    (shown,) = listed(server, filter="endpoint=masked-list", read_mask=mask)
    assert shown == vertex.Endpoint(name=f"{PARENT}/endpoints/masked-list", labels={"masked": "yes"})
    address = f"{server.url}/v1beta1/{PARENT}/endpoints"
    asked = {"filter": "endpoint=masked-list", "readMask": "display_name"}
    assert httpx.get(address, params=asked, trust_env=False).json() == {"endpoints": [{"displayName": "An endpoint"}]}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"filter": "colour=red"}, "Unknown field 'colour' of a Endpoint"),
        ({"read_mask": {"paths": ["shoes"]}}, "Unknown field 'shoes' of a Endpoint"),
    ],
)
def test_unknown_fields_of_a_list(server, query, message):
    with pytest.raises(BadRequest, match=message):
        listed(server, **query)


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", f"{PARENT}/endpoints"), ("PATCH", f"{PARENT}/endpoints/e"),
        ("POST", f"{PARENT}/endpoints/e:deployModel"), ("POST", f"{PARENT}/tuningJobs"),
        ("POST", f"{PARENT}/customJobs"), ("POST", f"{PARENT}:deploy"),
        ("GET", f"{PARENT}/operations"), ("GET", f"{PARENT}/operations/1"), ("DELETE", f"{PARENT}/endpoints/e"),
    ],
)  # fmt: skip
def test_unknown_names_in_a_query(server, verb, path):
    reply = httpx.request(verb, f"{server.url}/v1beta1/{path}?shoes=1&$alt=json&key=k", json={}, trust_env=False)
    assert (reply.status_code, 'Unknown name "shoes"' in reply.json()["error"]["message"]) == (400, True)


def test_v1_refuses_what_it_does_not_know(server):
    create(server, "of-v1")
    url = f"{server.url}/v1/{PARENT}/endpoints/of-v1:deployModel"
    reply = httpx.post(url, json={"deployedModel": {"enableContainerLogging": True}}, trust_env=False).json()
    assert 'Unknown name "enableContainerLogging"' in reply["error"]["message"]
