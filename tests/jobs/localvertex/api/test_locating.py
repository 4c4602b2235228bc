import pytest
from google.cloud.aiplatform_v1beta1.types import (
    CustomJob,
    DeployRequest,
    MutateDeployedModelRequest,
    TensorboardTimeSeries,
    TuningJob,
)

from jobs.localvertex.api import wire
from jobs.localvertex.api.errors import ApiError

GOOGLE = "type.googleapis.com/google.cloud.aiplatform.v1beta1"
HYPER = "tuning_job.supervised_tuning_spec.hyper_parameters"


def pools(*found):
    return {"jobSpec": {"workerPoolSpecs": list(found)}}


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        (TuningJob, {"baseModel": 5}, "Invalid value at 'tuning_job.base_model' (TYPE_STRING), 5"),
        (TuningJob, {"labels": {"a": "b", "c": 1}}, "Invalid value at 'tuning_job.labels[1].value' (TYPE_STRING), 1"),
        (TuningJob, {"labels": [1]}, f"Invalid value at 'tuning_job.labels' ({GOOGLE}.TuningJob.LabelsEntry), [1]"),
        (
            TuningJob,
            {"supervisedTuningSpec": {"hyperParameters": {"epochCount": "x"}}},
            f"Invalid value at '{HYPER}.epoch_count' (TYPE_INT64), \"x\"",
        ),
        (
            TuningJob,
            {"supervised_tuning_spec": {"hyper_parameters": {"adapter_size": "FIVE"}}},
            f"Invalid value at '{HYPER}.adapter_size' ({GOOGLE}.SupervisedHyperParameters.AdapterSize), \"FIVE\"",
        ),
        (
            CustomJob,
            pools({}, {"replicaCount": "x"}),
            "Invalid value at 'custom_job.job_spec.worker_pool_specs[1].replica_count' (TYPE_INT64), \"x\"",
        ),
        (
            CustomJob,
            pools({"containerSpec": {"args": ["a", 1]}}),
            "Invalid value at 'custom_job.job_spec.worker_pool_specs[0].container_spec.args[1]' (TYPE_STRING), 1",
        ),
        (
            CustomJob,
            {"jobSpec": {"scheduling": {"timeout": 5}}},
            "Invalid value at 'custom_job.job_spec.scheduling.timeout'"
            " (type.googleapis.com/google.protobuf.Duration), 5",
        ),
        (
            DeployRequest,
            {"deployConfig": {"dedicatedResources": {"machineSpec": {"acceleratorType": "GPU"}}}},
            f"Invalid value at 'deploy_config.dedicated_resources.machine_spec.accelerator_type'"
            f' ({GOOGLE}.AcceleratorType), "GPU"',
        ),
        (
            DeployRequest,
            {"deployConfig": [{}]},
            'Invalid JSON payload received. Unknown name "deployConfig":'
            " Proto field is not repeating, cannot start list.",
        ),
        (DeployRequest, {"shoes": 1}, 'Invalid JSON payload received. Unknown name "shoes": Cannot find field.'),
    ],
)
def test_the_whole_path_is_said(kind, body, said):
    with pytest.raises(ApiError) as caught:
        wire.parse(kind, body)
    assert (caught.value.status, caught.value.message) == ("INVALID_ARGUMENT", said)


@pytest.mark.parametrize(
    ("kind", "body", "where"),
    [
        (TuningJob, {"supervisedTuningSpec": []}, "tuning_job.supervised_tuning_spec"),
        (TuningJob, {"supervisedTuningSpec": ""}, "tuning_job.supervised_tuning_spec"),
        (CustomJob, pools({"containerSpec": []}), "custom_job.job_spec.worker_pool_specs[0].container_spec"),
        (CustomJob, pools(""), "custom_job.job_spec.worker_pool_specs[0]"),
        (TensorboardTimeSeries, {"pluginData": "%%%"}, "tensorboard_time_series.plugin_data"),
    ],
)
def test_what_the_library_would_forget(kind, body, where):
    with pytest.raises(ApiError) as caught:
        wire.parse(kind, body)
    assert caught.value.details[0]["fieldViolations"][0]["field"] == where


def test_bytes_in_either_alphabet():
    for text in ("", "Zm9v", "Zm8=", "Zm8", "-_-_", "+/+/"):
        assert (
            wire.parse(TensorboardTimeSeries, {"pluginData": text}).plugin_data
            == wire.parse(TensorboardTimeSeries, {"pluginData": text.replace("-", "+").replace("_", "/")}).plugin_data
        )
    with pytest.raises(ApiError):
        wire.parse(TensorboardTimeSeries, {"pluginData": "Z"})


def test_masks_with_underscores():
    asked = {"updateMask": "dedicated_resources.min_replica_count"}
    mask = wire.parse(MutateDeployedModelRequest, asked).update_mask
    assert list(mask.paths) == ["dedicated_resources.min_replica_count"]
