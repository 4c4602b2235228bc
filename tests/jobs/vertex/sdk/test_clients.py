"""How Google itself would be reached; nothing is sent."""

import subprocess
import sys

import pytest
from google.cloud.aiplatform_v1beta1 import types
from google.cloud.aiplatform_v1beta1.services.gen_ai_tuning_service.pagers import ListTuningJobsPager

from jobs.vertex.errors import Refused, Unavailable
from jobs.vertex.sdk import clients, credentials
from jobs.vertex.sdk.chat.answers import _headers
from tests.support.googlehost import TOKEN, google_host


@pytest.fixture
def _google(settings, monkeypatch, tmp_path):
    """With the key of a service account, for which a server of this machine gives tokens."""
    settings.VERTEX_API_ENDPOINT = ""
    with google_host(tmp_path / "google", "http://127.0.0.1:1") as host:
        for name, value in host.environment.items():
            monkeypatch.setenv(name, value)
        forget()
        yield
        forget()


def forget():
    for cached in (clients._client, credentials.load):
        cached.cache_clear()


@pytest.mark.usefixtures("_google")
@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("", "https://us-central1-aiplatform.googleapis.com"),
        ("europe-west4", "https://europe-west4-aiplatform.googleapis.com"),
        ("global", "https://aiplatform.googleapis.com"),
    ],
)
def test_each_location_has_its_host(location, host):
    assert clients.client("gen_ai_tuning_service", location).transport._host == host


CHAT = "https://us-central1-aiplatform.googleapis.com/v1beta1/projects/p/locations/us-central1/endpoints/7/chat/completions"


@pytest.mark.usefixtures("_google")
def test_the_chat_carries_a_token():
    headers = _headers(CHAT)
    assert (headers["authorization"], "x-goog-user-project" in headers) == (f"Bearer {TOKEN}", False)


@pytest.mark.usefixtures("_google")
def test_the_chat_names_the_quota_project_like_every_other_request(monkeypatch):
    monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "who-pays")
    assert _headers(CHAT)["x-goog-user-project"] == "who-pays"


@pytest.mark.usefixtures("_google")
def test_no_adapter_sends_again():
    session = clients.client("gen_ai_tuning_service").transport._session
    assert {adapter.max_retries.total for adapter in session.adapters.values()} == {0}
    assert (session.max_redirects, session.trust_env) == (0, True)


def test_a_proxy_is_not_asked_for_a_server_on_this_machine(settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    assert clients.client("gen_ai_tuning_service").transport._session.trust_env is False


@pytest.mark.parametrize("name", ["", "tuningJobs/1", "projects/p/locations/../x", "projects/p/locations/a.example/x"])
def test_a_name_without_a_location_is_refused(name):
    with pytest.raises(Refused):
        clients.location_of(name)


def test_the_gateway_costs_nothing_until_it_is_used():
    code = (
        "import sys; from jobs.vertex.sdk import Gateway; Gateway();"
        "print([name for name in sys.modules if name.startswith(('google.a', 'grpc', 'httpx'))])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_list_without_an_end_proves_no_absence():
    page = types.ListTuningJobsResponse(next_page_token="more")
    pages = ListTuningJobsPager(lambda request, **_options: page, types.ListTuningJobsRequest(), page)
    with pytest.raises(Unavailable, match="more than 1000 pages"):
        clients.whole(pages)
