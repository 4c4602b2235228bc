"""What people paste into a shell."""

import pytest

from jobs.vertex import grants


@pytest.fixture(autouse=True)
def _project(settings):
    settings.VERTEX_PROJECT = "garden"


@pytest.mark.parametrize(
    "account", ["", "$(reboot)@x.example", "a@b.example;reboot", "a b@c.example", "a@b.example\nid"]
)
def test_an_account_that_is_none_is_a_placeholder(account):
    assert grants.name_member(account) == "user:YOUR_ACCOUNT"


@pytest.mark.parametrize("number", ["", "4;reboot", "$(id)", "４２"])
def test_a_project_number_that_is_none_is_a_placeholder(number):
    assert grants.name_agent(number, "agent") == "service-PROJECT_NUMBER@agent.iam.gserviceaccount.com"


@pytest.mark.parametrize("place", ["", "us;reboot", "$(id)"])
def test_a_place_that_is_none_is_a_placeholder(place):
    assert "--location=LOCATION " in grants.create_bucket("b", place)
    assert grants.ask_for_quota("Q", 1, place).endswith("--dimensions=region=REGION")


def test_members_are_named_as_iam_names_them():
    agent = grants.name_agent("42", "gcp-sa-aiplatform")
    assert (grants.name_member("ann@example.com"), grants.name_member(agent)) == (
        "user:ann@example.com",
        "serviceAccount:service-42@gcp-sa-aiplatform.iam.gserviceaccount.com",
    )
