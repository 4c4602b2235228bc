"""What a tuning job needs of its buckets on Google Cloud: that they are in its region, which is asked at once, and a
role for Vertex AI's own account for tuning, without which it fails minutes after it was taken."""

from google.cloud.aiplatform_v1beta1.types import TuningJob

from jobs.localvertex.api.errors import ApiError, precondition
from jobs.localvertex.api.hosts import project_number
from jobs.localvertex.storage.buckets import Buckets, location

AGENT = "gcp-sa-vertex-moss-ft"
READING = ("roles/storage.objectViewer", "roles/storage.objectUser", "roles/storage.objectAdmin", "roles/storage.admin")
WRITING = ("roles/storage.objectUser", "roles/storage.objectAdmin", "roles/storage.admin")
MULTI_REGIONS = {"us": "us-", "eu": "europe-", "asia": "asia-"}


def require_region(job: TuningJob, parent: str, buckets: Buckets) -> None:
    """Raises FAILED_PRECONDITION in Google's words. A job of `global` finds a region by itself."""
    region = parent.rpartition("/")[2]
    if region == "global":
        return
    found = buckets.place_of(location(job.output_uri, "output_uri"))
    if found != region and not region.startswith(MULTI_REGIONS.get(found, "\0")):
        raise precondition(
            f"The Cloud Storage bucket of `{job.output_uri}` is in location `{found}`. It must be in the same regional"
            f" location as the service location `{region}`."
        )


def require_access(job: TuningJob, buckets: Buckets) -> None:
    """Raises PERMISSION_DENIED in Google's words for the first bucket on which the account has no role."""
    spec = job.supervised_tuning_spec
    account = f"service-{project_number(job.name.split('/')[1])}@{AGENT}.iam.gserviceaccount.com"
    for uri, roles, right in (
        (spec.training_dataset_uri, READING, "storage.objects.get"),
        (spec.validation_dataset_uri, READING, "storage.objects.get"),
        (job.output_uri, WRITING, "storage.objects.create"),
    ):
        if uri and f"serviceAccount:{account}" not in buckets.members(location(uri, "uri"), roles):
            raise ApiError(
                "PERMISSION_DENIED",
                f"{account} does not have {right} access to the Google Cloud Storage object {uri}. Permission"
                f" '{right}' denied on resource (or it may not exist).",
            )
