import time

import pytest
from google.cloud.aiplatform_v1beta1.types import Context, Endpoint, TuningJob
from google.longrunning.operations_pb2 import Operation
from google.protobuf.field_mask_pb2 import FieldMask

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.api.filtering.filters import apply_mask, order_resources, page, select
from jobs.localvertex.store import Store

JOBS = [
    TuningJob(
        name="one", tuned_model_display_name="First", labels={"console-job": "a1", "team": "x"}, state=4,
        create_time={"seconds": 1_790_000_000, "nanos": 500_000_000},
    ),
    TuningJob(name="two", tuned_model_display_name="Second", labels={"console-job": "b2"}, state=5,
              create_time={"seconds": 1_790_000_000}),
    TuningJob(name="three", tuned_model_display_name="Third"),
]  # fmt: skip


@pytest.fixture
def stored(tmp_path):
    """The same, as a list finds them in the database."""
    store = Store(tmp_path / "vertex.sqlite3")
    for job in reversed(JOBS):
        store.insert(job)
    yield store.all(TuningJob)
    store.close()


def names(resources):
    return [resource.name for resource in resources]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("", ["one", "two", "three"]),
        ("labels.console-job=a1", ["one"]),
        ('labels.console-job="b2"', ["two"]),
        ('labels."console-job"=b2', ["two"]),
        ("labels.console-job:*", ["one", "two"]),
        ("labels:team", ["one"]),
        ("labels.team:x AND state=JOB_STATE_SUCCEEDED", ["one"]),
        ('tuned_model_display_name = "Second"', ["two"]),
        ('tunedModelDisplayName!="Second"', ["one", "three"]),
        ('tuned_model_display_name:"*ir*"', ["one", "three"]),
        ('tuned_model_display_name:"T*d"', ["three"]),
        ('tuned_model_display_name:"d*"', []),
        ("NOT labels.team=x", ["two", "three"]),
        ("-labels.team=x", ["two", "three"]),
        ("labels.console-job=nobody", []),
        ("state=JOB_STATE_FAILED OR name=three", ["two", "three"]),
        ("labels:console-job AND (NOT state=JOB_STATE_FAILED OR name=three)", ["one"]),
        ("name=one OR name=two AND labels.team=x", ["one"]),
        ('create_time>"2026-09-21T14:13:20Z"', ["one"]),
        ('create_time>="2026-09-21T16:13:20+02:00"', ["one", "two"]),
        ("create_time<2026-09-21T14:13:20.4Z", ["two"]),
        ("create_time!=2026-09-21T14:13:20Z", ["one", "three"]),
    ],
)
def test_select(expression, found, stored):
    assert names(select(TuningJob, JOBS, expression)) == found
    assert names(select(TuningJob, stored, expression)) == found


@pytest.mark.parametrize(
    "expression",
    [
        "labels.a", "=b", "a==b c", "name=a AND", "name=a OR OR name=b", "(name=a", "name=a)", "NOT", "name=", "name",
        "labels=a", "state=RUNNING", "state>1 x", "name=~a", "create_time>yesterday", "can_deploy(true)", "-" * 50,
        "(" * 5000, "NOT " * 5000 + "name=a", "tuning_job.name=a", "labels.a.b.=c", "name.first=a",
    ],
)  # fmt: skip
def test_nonsense_is_refused(expression):
    with pytest.raises(ApiError, match=r"Invalid filter expression|Unknown field") as refused:
        select(TuningJob, JOBS, expression)
    assert (refused.value.status, refused.value.details[0]["fieldViolations"][0]["field"]) == (
        "INVALID_ARGUMENT",
        "filter",
    )


def test_an_unknown_field_is_refused_where_nothing_is_listed():
    with pytest.raises(ApiError, match="Unknown field 'colour' of a TuningJob"):
        select(TuningJob, [], "colour=red")


def test_flags_numbers_and_free_fields():
    operations = [Operation(name="a", done=True), Operation(name="b")]
    assert [names(select(Operation, operations, f"done={flag}")) for flag in ("true", "false")] == [["a"], ["b"]]
    endpoints = [Endpoint(name="e/1", dedicated_endpoint_enabled=True), Endpoint(name="e/10")]
    assert names(select(Endpoint, endpoints, "endpoint=10")) == ["e/10"]
    contexts = [Context(name="c", metadata={"deleted": False, "place": {"board": "b"}})]
    assert names(select(Context, contexts, 'metadata.place.board="b" AND metadata.deleted=false')) == ["c"]


def test_a_long_filter_of_what_is_stored(stored):
    expression = " AND ".join(["labels.team=x"] * 3000)
    assert names(select(TuningJob, stored, expression)) == ["one"]


def test_a_filter_takes_no_time():
    began = time.monotonic()
    assert select(TuningJob, [TuningJob(name="a" * 5000)], 'name:"' + "*a" * 50 + '*b"') == []
    with pytest.raises(ApiError):
        select(TuningJob, JOBS, 'name="' + "\\" * 20_000)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("tuned_model_display_name desc", ["three", "two", "one"]),
        ("create_time", ["three", "two", "one"]),
        ("state desc, name", ["one", "two", "three"]),
        ("labels.team desc, name", ["one", "three", "two"]),
    ],
)
def test_ordered(order, found, stored):
    assert names(order_resources(TuningJob, JOBS, order)) == found
    assert names(order_resources(TuningJob, stored, order)) == found


@pytest.mark.parametrize("order", ["shoes", "name up", "name asc desc", "labels.a desc x"])
def test_bad_orders_are_refused(order):
    with pytest.raises(ApiError, match=r"Unknown field|Invalid order_by"):
        order_resources(TuningJob, [], order)


def test_masks():
    assert apply_mask(TuningJob, JOBS, None) == apply_mask(TuningJob, JOBS, FieldMask(paths=["*"])) == JOBS
    assert apply_mask(TuningJob, JOBS[:1], FieldMask(paths=["name", "state"])) == [TuningJob(name="one", state=4)]
    with pytest.raises(ApiError, match="Unknown field 'shoes' of a TuningJob"):
        apply_mask(TuningJob, [], FieldMask(paths=["shoes"]))


def test_pages_follow_each_other():
    first, token = page(JOBS, 2, "")
    second, end = page(JOBS, 2, token)
    assert names(first + second) == ["one", "two", "three"]
    assert end == ""


@pytest.mark.parametrize(("size", "token"), [(-1, ""), (1, "nonsense!"), (1, "LTU=")])
def test_bad_pages_are_refused(size, token):
    with pytest.raises(ApiError):
        page(JOBS, size, token)
