import pytest
from google.cloud.aiplatform_v1beta1.types import ListTuningJobsRequest, TuningJob

from jobs.localvertex.api import wire
from jobs.localvertex.api.errors import ApiError


def refused(body) -> ApiError:
    with pytest.raises(ApiError) as caught:
        wire.parse(TuningJob, body)
    assert caught.value.status == "INVALID_ARGUMENT"
    return caught.value


def field(error: ApiError) -> str:
    return error.details[0]["fieldViolations"][0]["field"]


@pytest.mark.parametrize(
    "spec",
    [
        {"supervisedTuningSpec": {"hyperParameters": {"epochCount": "3"}, "tuningMode": 2}},
        {"supervised_tuning_spec": {"hyper_parameters": {"epoch_count": 3}, "tuning_mode": "TUNING_MODE_PEFT_ADAPTER"}},
    ],
)
def test_camel_and_snake_numbers_and_names(spec):
    job = wire.parse(TuningJob, spec)
    assert job.supervised_tuning_spec.hyper_parameters.epoch_count == 3
    assert job.supervised_tuning_spec.tuning_mode.name == "TUNING_MODE_PEFT_ADAPTER"


def test_unknown_field_is_named():
    error = refused({"supervisedTuningSpec": {"nonsense": 1}})
    expected = "Unknown name \"nonsense\" at 'tuning_job.supervised_tuning_spec': Cannot find field."
    assert error.message == f"Invalid JSON payload received. {expected}"
    assert field(error) == "supervisedTuningSpec.nonsense"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"baseModel": 5}, "base_model"),
        ({"labels": [1]}, "labels"),
        ({"supervisedTuningSpec": {"hyperParameters": {"epochCount": "x"}}},
         "supervised_tuning_spec.hyper_parameters.epoch_count"),
        ({"supervisedTuningSpec": {"hyperParameters": {"epochCount": 2.5}}},
         "supervised_tuning_spec.hyper_parameters.epoch_count"),
        ({"supervisedTuningSpec": {"tuningMode": "NOPE"}}, "supervised_tuning_spec.tuning_mode"),
        ({"supervisedTuningSpec": {"tuningMode": 99}}, "supervised_tuning_spec.tuning_mode"),
    ],
)  # fmt: skip
def test_wrong_value_names_its_field(body, name):
    path = name if name.startswith("supervised_tuning_spec.tuning_mode") and body else name
    error = refused(body)
    assert field(error).endswith(path.rpartition(".")[2])
    assert "Invalid" in error.message


@pytest.mark.parametrize("body", [[], "text", 5, None])
def test_body_must_be_an_object(body):
    assert "must be a JSON object" in refused(body).message


def test_enums_as_numbers_on_request():
    job = TuningJob(name="n", state=3)
    assert wire.render(job)["state"] == "JOB_STATE_RUNNING"
    assert wire.render(job, enums_as_ints=True)["state"] == 3


def test_query_becomes_a_request_message():
    pairs = [("pageSize", "7"), ("filter", "labels.a=b"), ("$alt", "json;enum-encoding=int")]
    request = wire.parse_query(ListTuningJobsRequest, pairs, {"parent": "projects/p/locations/l"})
    assert (request.page_size, request.filter, request.parent) == (7, "labels.a=b", "projects/p/locations/l")


def test_unknown_query_parameter_is_refused():
    with pytest.raises(ApiError, match='Unknown name "shoes": Cannot bind query parameter'):
        wire.parse_query(ListTuningJobsRequest, [("shoes", "7")], {})


def test_what_was_written_is_read_back():
    job = TuningJob(name="n", labels={"a": "b"}, create_time=wire.now(), state=4)
    assert wire.load(TuningJob, wire.render(job)) == job


def test_flags_and_enums_in_quotes():
    body = {"supervisedTuningSpec": {"exportLastCheckpointOnly": "true", "tuningMode": "tuning-mode-full"}}
    spec = wire.parse(TuningJob, body).supervised_tuning_spec
    assert (spec.export_last_checkpoint_only, spec.tuning_mode.name) == (True, "TUNING_MODE_FULL")
    body = {"supervised_tuning_spec": {"export_last_checkpoint_only": "false", "tuning_mode": "1"}}
    assert wire.parse(TuningJob, body).supervised_tuning_spec.tuning_mode == 1
    assert field(refused({"supervisedTuningSpec": {"exportLastCheckpointOnly": "yes"}})).endswith("only")
