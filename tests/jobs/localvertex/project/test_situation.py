import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.project.situation import VERTEX, Situation

PLACE = "projects/p1/locations/us-central1"


def refusal(entry, method="create_tuning_job"):
    with pytest.raises(ApiError) as caught:
        Situation.read(entry).check_call(method, "p1", PLACE)
    reasons = [detail["reason"] for detail in caught.value.details]
    return caught.value.status, caught.value.message, reasons


def test_nothing_is_missing_by_itself():
    Situation.read({}).check_call("create_tuning_job", "p1", PLACE)
    assert Situation.read({}) == Situation()


def test_an_api_that_is_off_comes_before_billing():
    status, message, reasons = refusal({"disabled": [VERTEX], "billing": False}, "list_tuning_jobs")
    assert (status, reasons) == ("PERMISSION_DENIED", ["SERVICE_DISABLED"])
    assert message.startswith("Vertex AI API has not been used in project p1 before or it is disabled. Enable it by")


def test_without_billing_nothing_is_answered():
    status, message, reasons = refusal({"billing": False}, "list_publisher_models")
    assert (status, reasons) == ("PERMISSION_DENIED", ["BILLING_DISABLED"])
    assert message.startswith("This API method requires billing to be enabled.")


def test_a_right_is_missing_for_the_calls_that_need_it():
    lacks = {"lacks": ["aiplatform.models.upload"]}
    assert refusal(lacks, "deploy") == (
        "PERMISSION_DENIED",
        f"Permission 'aiplatform.models.upload' denied on resource '//{VERTEX}/{PLACE}' (or it may not exist).",
        [],
    )
    Situation.read(lacks).check_call("create_tuning_job", "p1", PLACE)
