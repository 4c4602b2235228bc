"""Google's own words for what it refuses, with the command that mends it."""

import pytest

from jobs.vertex.errors import LicenceRequired, NotAuthorised, OverQuota, Refused, StockOut
from jobs.vertex.sdk.refusals import Refusal, explain, find_remedy
from jobs.vertex.sdk.translate import from_status

STOCK_OUT = (
    'Machine type temporarily unavailable. Machine type: "g2-standard-24". Accelerator type: "nvidia-l4".'
    " Consider deploying in another region."
)
NO_API = (
    "Vertex AI API has not been used in project 42 before or it is disabled. Enable it by visiting"
    " https://console.developers.google.com/apis/api/aiplatform.googleapis.com/overview?project=42 then retry."
)
NO_QUOTA_PROJECT = (
    "Your application is authenticating by using local Application Default Credentials. The aiplatform.googleapis.com"
    " API requires a quota project, which is not set by default."
)
NO_BILLING = "This API method requires billing to be enabled. Please enable billing on project #42 by visiting a page."
NO_CONSUMER = (
    "Caller does not have required permission to use project garden. Grant the caller the"
    " roles/serviceusage.serviceUsageConsumer role, or a custom role with the serviceusage.services.use permission."
)
NO_RIGHT = (
    "Permission 'aiplatform.tuningJobs.create' denied on resource '//aiplatform.googleapis.com/projects/garden' (or it"
    " may not exist)."
)
NO_ACT_AS = "robot@garden.iam.gserviceaccount.com needs iam.serviceAccounts.actAs on the service account."
NO_BUCKET = (
    "service-42@gcp-sa-vertex-moss-ft.iam.gserviceaccount.com does not have storage.objects.get access to the Google"
    " Cloud Storage object gs://the-data/rows.jsonl."
)
AGENT = "serviceAccount:service-42@gcp-sa-vertex-moss-ft.iam.gserviceaccount.com"


@pytest.fixture(autouse=True)
def _project(settings):
    settings.VERTEX_PROJECT, settings.VERTEX_API_ENDPOINT = "garden", "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("message", "command"),
    [
        (NO_API, "gcloud services enable aiplatform.googleapis.com --project=garden"),
        (NO_QUOTA_PROJECT, "gcloud auth application-default set-quota-project garden"),
        (
            NO_CONSUMER,
            "gcloud projects add-iam-policy-binding garden --member=user:YOUR_ACCOUNT"
            " --role=roles/serviceusage.serviceUsageConsumer",
        ),
        (
            NO_RIGHT,
            "gcloud projects add-iam-policy-binding garden --member=user:YOUR_ACCOUNT --role=roles/aiplatform.user",
        ),
        (
            NO_ACT_AS,
            "gcloud projects add-iam-policy-binding garden"
            " --member=serviceAccount:robot@garden.iam.gserviceaccount.com --role=roles/iam.serviceAccountUser",
        ),
        (
            NO_BUCKET,
            f"gcloud storage buckets add-iam-policy-binding gs://the-data --member={AGENT}"
            " --role=roles/storage.objectUser",
        ),
    ],
)
@pytest.mark.parametrize("http", [403, 0])
def test_a_missing_right_comes_with_its_command(message, command, http):
    found = find_remedy(Refusal(message, "PERMISSION_DENIED", http))
    assert (found.kind, f"Run: {command} (" in found.sentence, message in found.sentence) == (NotAuthorised, True, True)


def test_billing_that_is_off_is_no_matter_of_rights():
    found = find_remedy(Refusal(NO_BILLING, "PERMISSION_DENIED", 403))
    command = "gcloud billing projects link garden --billing-account=BILLING_ACCOUNT"
    assert (found.kind, f"Run: {command} (" in found.sentence) == (Refused, True)


@pytest.mark.parametrize(("code", "status"), [(503, "UNAVAILABLE"), (429, "RESOURCE_EXHAUSTED"), (500, "INTERNAL")])
def test_a_stock_out_is_definite_whatever_its_code_and_keeps_google_s_text(code, status):
    error = from_status(code, status, STOCK_OUT, creates=True)
    assert (type(error), STOCK_OUT in str(error), error.retryable) == (StockOut, True, False)


def test_a_quota_is_no_stock_out():
    error = from_status(429, "", "Quota exceeded for custom_model_serving_nvidia_l4_gpus.", creates=True)
    assert type(error) is OverQuota


def test_terms_are_terms_by_operation_too():
    found = find_remedy(Refusal("Accept the EULA of the model first.", "FAILED_PRECONDITION"))
    assert found.kind is LicenceRequired


@pytest.mark.parametrize(
    "message", ["The output_uri field is required for this model.", "The licence label is not valid.", ""]
)
def test_a_message_that_says_it_all_stays_as_it_is(message):
    assert explain(message, "INVALID_ARGUMENT") == message


@pytest.mark.parametrize("bucket", ["a;reboot", "$(reboot)", "a b", "A"])
def test_nothing_but_names_gets_into_a_command(bucket):
    message = "x@y.example;reboot does not have storage.objects.get access"
    sentence = find_remedy(Refusal(message, "", 403, bucket)).sentence
    command = "gcloud storage buckets add-iam-policy-binding gs://BUCKET --member=user:x@y.example"
    assert command in sentence


def test_the_account_is_that_of_the_credentials_where_nobody_names_one(settings, monkeypatch, tmp_path):
    from tests.jobs.vertex.sdk.test_clients import forget  # noqa: PLC0415
    from tests.support.googlehost import ACCOUNT, google_host  # noqa: PLC0415

    settings.VERTEX_API_ENDPOINT = ""
    with google_host(tmp_path / "google", "http://127.0.0.1:1") as host:
        for name, value in host.environment.items():
            monkeypatch.setenv(name, value)
        forget()
        sentence = find_remedy(Refusal(NO_RIGHT, "PERMISSION_DENIED", 403)).sentence
        forget()
    assert f"--member=serviceAccount:{ACCOUNT} " in sentence
