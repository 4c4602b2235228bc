import pytest
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError

from jobs.vertex.errors import (
    AlreadyExists,
    LicenceRequired,
    NotAuthorised,
    NotFound,
    NotSent,
    OutcomeUnknown,
    Refused,
    Unavailable,
)
from jobs.vertex.sdk.translate import from_status, translate

NOT_ALLOWED = "Project 7 is not allowed to use Publisher Model projects/7/publishers/meta/models/llama3"


@pytest.mark.parametrize(
    ("code", "status", "message", "kind"),
    [
        (400, "INVALID_ARGUMENT", "The output_uri field is required for this model.", Refused),
        (400, "INVALID_ARGUMENT", "The licence label is not valid.", Refused),
        (400, "FAILED_PRECONDITION", NOT_ALLOWED, LicenceRequired),
        (400, "FAILED_PRECONDITION", "Accept the EULA of the model first.", LicenceRequired),
        (403, "PERMISSION_DENIED", "Permission aiplatform.tuningJobs.create denied.", NotAuthorised),
        (401, "UNAUTHENTICATED", "Request had invalid credentials.", NotAuthorised),
        (404, "NOT_FOUND", "PublisherModel x does not exist.", NotFound),
        (409, "ALREADY_EXISTS", "Endpoint exists.", AlreadyExists),
        (409, "ABORTED", "Another change is going on.", Refused),
        (405, "", "Method not allowed", Refused),
    ],
)
def test_a_refusal_is_of_one_kind(code, status, message, kind):
    assert type(from_status(code, status, message, creates=True)) is kind


def test_missing_rights_on_a_bucket_come_with_the_command():
    agent = "service-42@gcp-sa-vertex-moss-ft.iam.gserviceaccount.com"
    message = f"{agent} does not have storage.objects.get access to the Google Cloud Storage object."
    error = from_status(400, "INVALID_ARGUMENT", message, creates=True, bucket="my-bucket")
    command = (
        "gcloud storage buckets add-iam-policy-binding gs://my-bucket"
        f" --member=serviceAccount:{agent} --role=roles/storage.objectUser"
    )
    assert type(error) is NotAuthorised
    assert command in str(error)


@pytest.mark.parametrize("code", [408, 500, 502, 503, 504])
def test_an_indefinite_answer(code):
    assert type(from_status(code, "", "?", creates=True)) is OutcomeUnknown
    assert type(from_status(code, "", "?", creates=False)) is Unavailable


@pytest.mark.parametrize(("creates", "kind"), [(True, NotSent), (False, NotAuthorised)])
def test_missing_credentials_say_what_to_run(creates, kind):
    """Google's own words for it."""
    found = DefaultCredentialsError("Your default credentials were not found. To set up, see elsewhere.")
    error = translate(found, creates=creates)
    assert (type(error), "gcloud auth application-default login" in str(error)) == (kind, True)


def test_credentials_that_cannot_be_renewed_leave_nothing_sent():
    assert type(translate(TransportError("metadata server"), creates=True)) is NotSent
    assert type(translate(RefreshError("busy", retryable=True), creates=True)) is NotSent
    assert type(translate(RefreshError("revoked", retryable=False), creates=True)) is NotSent
    assert type(translate(RefreshError("revoked", retryable=False), creates=False)) is NotAuthorised


def test_an_error_that_nobody_foresaw_proves_nothing():
    assert type(translate(OSError("broken pipe"), creates=True)) is OutcomeUnknown
    assert type(translate(OSError(13, "no", "/a/file"), creates=True)) is OutcomeUnknown
    assert type(translate(ValueError("no"), creates=True)) is OutcomeUnknown


def test_before_the_first_byte_everything_is_unsent():
    for error in (OSError("broken pipe"), OSError(13, "no", "/a/file"), ValueError("no"), KeyError("a"), MemoryError()):
        assert type(translate(error, creates=True, left=False)) is NotSent
