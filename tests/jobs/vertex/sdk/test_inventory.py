"""Lists of Google's form: whoever made what is in them, filters that may be refused, machines that may not be told."""

from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.vertex.errors import NotAuthorised, Unavailable
from jobs.vertex.found import CUSTOM_JOB, ENDPOINT, MODEL, TUNING_JOB, Machines
from jobs.vertex.sdk import Gateway, clients
from tests.support.misbehaving_server import answer, bad_server, error

REGION = "us-central1"
PARENT = f"projects/4711/locations/{REGION}"
SINCE = datetime(2026, 11, 1, tzinfo=UTC)
CREATED = {"createTime": "2026-11-24T12:00:00Z"}
L4 = {"machineType": "g2-standard-12", "acceleratorType": "NVIDIA_L4", "acceleratorCount": 1}


@pytest.fixture
def replies(settings):
    """By what the path ends with and the page token: a body, or a behaviour; a filter is asked for as `filter`."""
    known: dict[tuple[str, str], Any] = {}
    with bad_server(lambda connection: behave(connection)) as server:

        def behave(connection):
            path, _, query = server.requests[-1].path.partition("?")
            asked = dict(part.partition("=")[::2] for part in query.split("&"))
            word = "filter" if "filter" in asked and ("filter", "") in known else path.rpartition("/")[2]
            reply = known.get((word, asked.get("pageToken", "")), {})
            (reply if callable(reply) else answer(200, reply))(connection)

        settings.VERTEX_API_ENDPOINT = server.address
        known["server", ""] = server
        yield known


def list_kind(kind, limit=100):
    return Gateway().inventory.list_resources(kind, REGION, SINCE, limit)


def list_asked_words(replies):
    return [request.path.partition("?")[0].rpartition("/")[2] for request in replies["server", ""].requests]


def make_body(**values):
    return {"id": "77", "model": f"{PARENT}/models/m@1", "displayName": "Gemma", **CREATED, **values}


def dedicated(**values):
    return {"dedicatedResources": {"machineSpec": L4, "minReplicaCount": 1, "maxReplicaCount": 3, **values}}


def test_an_endpoint_with_its_machines(replies):
    status = {"status": {"availableReplicaCount": 1}}
    one = {
        "name": f"{PARENT}/endpoints/5", "displayName": "By hand", "labels": {"a": "b"}, **CREATED,
        "dedicatedEndpointDns": "5.example", "trafficSplit": {"77": 100},
        "deployedModels": [make_body(**dedicated(), **status)],
    }  # fmt: skip
    replies["endpoints", ""] = {"endpoints": [one]}
    (found,) = list_kind(ENDPOINT).resources
    machines = Machines("g2-standard-12", "NVIDIA_L4", 1, 1, 3, 1)
    assert (found.name, found.display_name, found.labels, found.dedicated_dns) == (
        f"{PARENT}/endpoints/5", "By hand", {"a": "b"}, "5.example",
    )  # fmt: skip
    assert found.machines == (machines,)
    (model,) = found.models
    assert (model.id, model.model, model.share, model.machines) == ("77", f"{PARENT}/models/m@1", 100, machines)
    assert list_asked_words(replies) == ["endpoints"]


def test_machines_that_the_list_does_not_tell_are_asked_for(replies):
    """An endpoint that has gone meanwhile is left out; one on machines of Google's own needs no question."""
    bare, gone, shared = ({"name": f"{PARENT}/endpoints/{number}", **CREATED} for number in (5, 6, 7))
    listing = [
        {**bare, "deployedModels": [make_body()]},
        {**gone, "deployedModels": [make_body()]},
        {**shared, "deployedModels": [make_body(automaticResources={"minReplicaCount": 1})]},
    ]
    replies["endpoints", ""] = {"endpoints": listing}
    replies["5", ""] = {**bare, "deployedModels": [make_body(**dedicated(minReplicaCount=2))]}
    replies["6", ""] = error(404, "NOT_FOUND")
    found = list_kind(ENDPOINT).resources
    assert [(one.name[-1], one.machines) for one in found] == [
        ("5", (Machines("g2-standard-12", "NVIDIA_L4", 1, 2, 3),)),
        ("7", (Machines(""),)),
    ]
    assert list_asked_words(replies) == ["endpoints", "5", "6"]


def test_a_registered_model_says_where_it_comes_from(replies):
    garden = {"publicModelName": "publishers/google/models/gemma3", "versionId": "gemma-3-1b-it"}
    listing = [
        {"name": f"{PARENT}/models/1", "baseModelSource": {"modelGardenSource": garden}},
        {"name": f"{PARENT}/models/2", "artifactUri": "gs://b/m", "containerSpec": {"imageUri": "vllm"}},
    ]
    replies["models", ""] = {"models": listing}
    found = [(one.base_model, one.folder, one.image) for one in list_kind(MODEL).resources]
    assert found == [("google/gemma3@gemma-3-1b-it", "", ""), ("", "gs://b/m", "vllm")]


def test_tuning_jobs_and_custom_jobs(replies):
    job = {
        "name": f"{PARENT}/tuningJobs/1", "baseModel": "google/gemma3@gemma-3-1b-it", "state": "JOB_STATE_RUNNING",
        "tunedModelDisplayName": "T", "outputUri": "gs://b/o", "tunedModel": {"model": f"{PARENT}/models/7@1"},
        **CREATED,
    }  # fmt: skip
    pool = {"machineSpec": L4, "replicaCount": "2", "containerSpec": {"imageUri": "peft"}}
    spec = {"workerPoolSpecs": [pool], "baseOutputDirectory": {"outputUriPrefix": "gs://b/c"}}
    custom = {
        "name": f"{PARENT}/customJobs/2",
        "displayName": "C",
        "state": "JOB_STATE_FAILED",
        "jobSpec": spec,
        **CREATED,
    }
    replies["tuningJobs", ""], replies["customJobs", ""] = {"tuningJobs": [job]}, {"customJobs": [custom]}
    (tuning,), (other,) = list_kind(TUNING_JOB).resources, list_kind(CUSTOM_JOB).resources
    assert (tuning.state, tuning.base_model, tuning.folder, tuning.result, tuning.display_name) == (
        "RUNNING", "google/gemma3@gemma-3-1b-it", "gs://b/o", f"{PARENT}/models/7@1", "T",
    )  # fmt: skip
    assert (other.state, other.folder, other.image, other.machines) == (
        "FAILED", "gs://b/c", "peft", (Machines("g2-standard-12", "NVIDIA_L4", 1, 2, 2),),
    )  # fmt: skip


@pytest.mark.parametrize(("refusal", "times"), [(None, 1), (error(400, "INVALID_ARGUMENT"), 2)])
def test_jobs_are_filtered_by_age_whether_the_server_does_it_or_not(replies, refusal, times):
    """One that ignores the filter, and one that refuses it."""
    old, new = (
        {"name": f"{PARENT}/tuningJobs/{n}", "createTime": f"2026-{m}-02T00:00:00Z"} for n, m in ((1, 10), (2, 11))
    )
    replies["tuningJobs", ""] = {"tuningJobs": [new, old]}
    if refusal:
        replies["filter", ""] = refusal
    assert [one.name[-1] for one in list_kind(TUNING_JOB).resources] == ["2"]
    queries = [request.path.partition("?")[2] for request in replies["server", ""].requests]
    assert ["filter" in query for query in queries] == [True, False][:times]


def test_missing_rights_and_a_server_that_is_away_are_not_asked_again_without_a_filter(replies):
    replies["filter", ""] = error(403, "PERMISSION_DENIED")
    with pytest.raises(NotAuthorised):
        list_kind(CUSTOM_JOB)
    replies["filter", ""] = error(503, "UNAVAILABLE")
    with pytest.raises(Unavailable):
        list_kind(CUSTOM_JOB)
    assert list_asked_words(replies) == ["customJobs", "customJobs"]


def test_pages_are_read_up_to_the_limit(replies):
    for number, token in enumerate(("", "a", "b")):
        rows = [{"name": f"{PARENT}/models/{number}{place}"} for place in range(3)]
        replies["models", token] = {"models": rows, "nextPageToken": {"": "a", "a": "b"}.get(token, "")}
    whole, cut = list_kind(MODEL, 9), list_kind(MODEL, 4)
    assert (len(whole.resources), whole.is_whole, len(cut.resources), cut.is_whole) == (9, True, 4, False)
    assert len(list_asked_words(replies)) == 3 + 2


def test_a_failing_later_page_fails_the_list(replies):
    replies["models", ""] = {"models": [{"name": f"{PARENT}/models/1"}], "nextPageToken": "a"}
    replies["models", "a"] = error(503, "UNAVAILABLE")
    with pytest.raises(Unavailable):
        list_kind(MODEL)


def test_unknown_states_and_accelerators_are_shown_as_sent(replies):
    pool = {"machineSpec": {"machineType": "x", "acceleratorType": 99}, "replicaCount": "1"}
    job = {"name": f"{PARENT}/customJobs/2", "state": 99, "jobSpec": {"workerPoolSpecs": [pool]}, **CREATED}
    replies["customJobs", ""] = {"customJobs": [job]}
    (found,) = list_kind(CUSTOM_JOB).resources
    assert (found.state, found.machines[0].accelerator) == ("99", "99")


@pytest.mark.slow
def test_a_list_of_empty_pages_without_an_end_is_given_up(replies):
    for token in ("", "again"):
        replies["endpoints", token] = {"endpoints": [], "nextPageToken": "again"}
    with pytest.raises(Unavailable, match="more than 1000 pages"):
        list_kind(ENDPOINT)
    assert len(list_asked_words(replies)) == clients.MOST_PAGES


def test_a_time_that_no_page_could_show_is_none(replies):
    replies["models", ""] = {"models": [{"name": f"{PARENT}/models/m", "createTime": "9999-12-31T23:59:59Z"}]}
    assert [one.create_time for one in list_kind(MODEL).resources] == [None]
