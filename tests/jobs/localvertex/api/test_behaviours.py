import pytest
from google.cloud import aiplatform_v1, aiplatform_v1beta1
from google.protobuf import struct_pb2

from jobs.localvertex.api.behaviours import behaviours_of, check_required, is_output_only, is_required
from jobs.localvertex.api.errors import ApiError


def raw(kind, **fields):
    return kind.pb(kind(**fields))


@pytest.mark.parametrize("package", [aiplatform_v1, aiplatform_v1beta1])
def test_google_says_it_of_each_field(package):
    fields = package.DedicatedResources.pb().DESCRIPTOR.fields_by_name
    assert behaviours_of(fields["machine_spec"].containing_type)["machine_spec"] == {"Required", "Immutable"}
    endpoint = package.Endpoint.pb().DESCRIPTOR.fields_by_name
    assert (is_required(endpoint["display_name"]), is_output_only(endpoint["create_time"])) == (True, True)
    assert (is_required(endpoint["labels"]), is_output_only(endpoint["labels"])) == (False, False)


def test_other_packages_say_nothing():
    assert behaviours_of(struct_pb2.Struct.DESCRIPTOR) == {}


def test_nested_messages_are_known_by_their_place():
    nested = aiplatform_v1beta1.DeployedModel.Status.pb().DESCRIPTOR
    assert behaviours_of(nested)["message"] == {"Output only"}


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (raw(aiplatform_v1beta1.Endpoint), "display_name"),
        (raw(aiplatform_v1beta1.CopyModelRequest, parent="p"), "source_model"),
        (raw(aiplatform_v1beta1.CustomJobSpec), "worker_pool_specs"),
        (
            raw(aiplatform_v1beta1.CustomJobSpec, worker_pool_specs=[{}, {"container_spec": {"args": ["a"]}}]),
            "worker_pool_specs[1].container_spec.image_uri",
        ),
        (
            raw(aiplatform_v1beta1.MachineSpec, reservation_affinity={"key": "k"}),
            "reservation_affinity.reservation_affinity_type",
        ),
    ],
)
def test_the_first_missing_field_is_named(message, field):
    with pytest.raises(ApiError) as caught:
        check_required(message)
    assert caught.value.message == f"The {field} field is required."
    assert caught.value.details[0]["fieldViolations"][0]["field"] == field


@pytest.mark.parametrize(
    "message",
    [
        raw(aiplatform_v1beta1.Endpoint, display_name="d"),
        raw(aiplatform_v1beta1.DedicatedResources),
        raw(aiplatform_v1beta1.PrivateServiceConnectConfig),
        raw(aiplatform_v1beta1.ContainerSpec, image_uri="i", env=[{"name": "EMPTY"}]),
    ],
)
def test_what_may_be_zero_or_is_left_out_by_googles_clients(message):
    check_required(message)


def test_a_patch_says_only_what_changes():
    endpoint = raw(aiplatform_v1beta1.Endpoint, encryption_spec={})
    with pytest.raises(ApiError, match=r"endpoint\.encryption_spec\.kms_key_name"):
        check_required(endpoint, "endpoint.", but=["display_name"])
    request = raw(aiplatform_v1beta1.UpdateEndpointLongRunningRequest, endpoint={"description": "d"})
    check_required(request, changed=["endpoint"])
    with pytest.raises(ApiError, match=r"endpoint\.display_name"):
        check_required(request)
