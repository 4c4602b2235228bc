"""Asked as the console and gcloud ask, and answered as each service's REST reference shows."""

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.project.services import PLENTY, find
from jobs.localvertex.project.situation import VERTEX, Situation

L4 = "CustomModelServingL4GPUsPerProjectPerRegion"
QUOTAS = f"/v1/projects/p1/locations/global/services/{VERTEX}/quotaInfos"


def answer(verb, path, body, situation):
    question = find(verb, path)
    assert question is not None
    return question.answer(body, situation)


def values(name, **entry):
    found = answer("GET", f"{QUOTAS}/{name}", None, Situation.read(entry))
    return {place: one["details"]["value"] for one in found["dimensionsInfos"] for place in one["applicableLocations"]}


@pytest.mark.parametrize(("billing", "account"), [(True, "billingAccounts/012345-567890-ABCDEF"), (False, "")])
def test_billing(billing, account):
    found = answer("GET", "/v1/projects/p1/billingInfo", None, Situation(billing=billing))
    assert (found["billingEnabled"], found["billingAccountName"]) == (billing, account)


def test_the_number_is_that_of_the_addresses():
    found = answer("GET", "/v1/projects/p1", None, Situation())
    assert (found["projectId"], found["projectNumber"]) == ("p1", answer(
        "GET", f"/v1/projects/p1/services/{VERTEX}", None, Situation(),
    )["parent"].removeprefix("projects/"))  # fmt: skip


def test_rights_that_are_lacked_are_left_out():
    situation = Situation.read({"lacks": ["a.b.c"]})
    path = "/v1/projects/p1:testIamPermissions"
    assert answer("POST", path, {"permissions": ["a.b.c", "d.e.f"]}, situation) == {"permissions": ["d.e.f"]}
    assert answer("POST", path, {"permissions": ["a.b.c"]}, situation) == {}
    with pytest.raises(ApiError, match="must be a list"):
        answer("POST", path, {"permissions": "a.b.c"}, situation)


@pytest.mark.parametrize(("disabled", "state"), [([], "ENABLED"), ([VERTEX], "DISABLED")])
def test_an_api(disabled, state):
    situation = Situation.read({"disabled": disabled})
    assert answer("GET", f"/v1/projects/p1/services/{VERTEX}", None, situation)["state"] == state
    with pytest.raises(ApiError, match="Not found"):
        answer("GET", "/v1/projects/p1/services/none.googleapis.com", None, situation)


def test_quotas():
    assert set(values(L4).values()) == {str(PLENTY)}
    assert values(L4, quotas={L4: 0})["europe-west4"] == "0"
    assert values("GlobalConcurrentManagedOssModelTuningJobs") == {"global": "1"}


def test_a_service_that_is_off_says_so_itself():
    situation = Situation.read({"disabled": ["cloudquotas.googleapis.com"]})
    with pytest.raises(ApiError, match="Cloud Quotas API has not been used in project p1"):
        answer("GET", f"{QUOTAS}/{L4}", None, situation)


@pytest.mark.parametrize(
    ("verb", "path"),
    [("POST", "/v1/projects/p1"), ("GET", "/v1/projects/p1/locations/us-central1"), ("GET", "/v1/projects"),
     ("GET", "/v1beta1/projects/p1/locations/us-central1/tuningJobs")],
)  # fmt: skip
def test_other_paths_are_vertex_ai_s(verb, path):
    assert find(verb, path) is None


def test_a_number_that_is_none_is_a_name():
    found = answer("GET", f"/v1/projects/{'9' * 5000}", None, Situation())
    assert len(found["projectNumber"]) == 12
