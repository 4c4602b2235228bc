"""What is sent to Google's services beside Vertex AI, and how their documented answers are read."""

from decimal import Decimal

import pytest

from jobs.vertex.errors import NotAuthorised, Unavailable
from jobs.vertex.sdk import Gateway
from tests.support.misbehaving_server import answer, error
from tests.support.price_catalogue import line

NAME = "CustomModelServingL4GPUsPerProjectPerRegion"
# As the REST reference of Cloud Quotas shows a QuotaInfo, shortened to what is read.
QUOTA = {
    "name": f"projects/42/locations/global/services/aiplatform.googleapis.com/quotaInfos/{NAME}",
    "quotaId": NAME,
    "dimensions": ["region"],
    "dimensionsInfos": [
        {"dimensions": {"region": "europe-west4"}, "details": {"value": "4"}, "applicableLocations": ["europe-west4"]},
        {"details": {"value": "1"}, "applicableLocations": ["us-central1", "us-east5"]},
    ],
}
GLOBAL = {"dimensionsInfos": [{"details": {"value": "-1"}, "applicableLocations": ["global"]}]}


def test_the_number(asked):
    asked.behave = answer(200, {"projectId": "garden", "projectNumber": "42"})
    assert Gateway().project.number() == "42"
    assert [one.path for one in asked.requests] == ["/v1/projects/garden"]


def test_rights_are_those_of_the_credentials(asked):
    asked.behave = answer(200, {"permissions": ["b.c.d"]})
    assert Gateway().project.missing_permissions(["a.b.c", "b.c.d"]) == ["a.b.c"]
    assert [one.path for one in asked.requests] == ["/v1/projects/garden:testIamPermissions"]


@pytest.mark.parametrize(("reply", "expected"), [({"billingEnabled": True}, True), ({}, False)])
def test_billing(asked, reply, expected):
    asked.behave = answer(200, reply)
    assert Gateway().project.has_billing() is expected
    assert [one.path for one in asked.requests] == ["/v1/projects/garden/billingInfo"]


def test_a_page_of_the_price_catalogue(asked):
    asked.behave = answer(200, {"skus": [line("Vertex AI: x in Iowa", "1.5")], "nextPageToken": "n/2="})
    page = Gateway().project.list_skus("C7E2-9256-1C43", "")
    assert (page.next_token, [sku.usd for sku in page.skus]) == ("n/2=", [Decimal("1.5")])
    Gateway().project.list_skus("C7E2-9256-1C43", page.next_token)
    first, second = (one.path for one in asked.requests)
    assert first == "/v1/services/C7E2-9256-1C43/skus?currencyCode=USD&pageSize=5000"
    assert second == f"{first}&pageToken=n%2F2%3D"


def test_the_price_catalogue_with_its_api_off(asked):
    asked.behave = error(403, "PERMISSION_DENIED", "Cloud Billing API has not been used in project 42 before.")
    with pytest.raises(NotAuthorised):
        Gateway().project.list_skus("C7E2-9256-1C43", "")


@pytest.mark.parametrize(("state", "expected"), [("ENABLED", True), ("DISABLED", False)])
def test_an_api(asked, state, expected):
    asked.behave = answer(200, {"state": state})
    assert Gateway().project.is_enabled("aiplatform.googleapis.com") is expected
    assert [one.path for one in asked.requests] == ["/v1/projects/garden/services/aiplatform.googleapis.com"]


@pytest.mark.parametrize(
    ("reply", "region", "expected"),
    [
        (QUOTA, "europe-west4", 4),
        (QUOTA, "us-central1", 1),
        (QUOTA, "asia-east1", None),
        (GLOBAL, "us-central1", -1),
        ({}, "us-central1", None),
        ({"dimensionsInfos": [{"details": {"value": "many"}}]}, "us-central1", None),
    ],
)
def test_a_quota_is_that_of_the_region(asked, reply, region, expected):
    asked.behave = answer(200, reply)
    assert Gateway().project.quota(NAME, region) == expected
    path = f"/v1/projects/garden/locations/global/services/aiplatform.googleapis.com/quotaInfos/{NAME}"
    assert [one.path for one in asked.requests] == [path]


@pytest.mark.parametrize(
    ("behave", "kind"),
    [
        (error(403, "PERMISSION_DENIED", "Permission 'cloudquotas.quotas.get' denied."), NotAuthorised),
        (error(503, "UNAVAILABLE", "Later."), Unavailable),
        (answer(200, b"<html>"), Unavailable),
        (answer(200, {"dimensionsInfos": "many"}), Unavailable),
        (answer(200, {"dimensionsInfos": [{"dimensions": None, "details": []}]}), Unavailable),
    ],
)
def test_a_refusal_and_nonsense_are_errors_of_the_gateway(asked, behave, kind):
    asked.behave = behave
    with pytest.raises(kind):
        Gateway().project.quota(NAME, "us-central1")
