"""Vertex AI's own account for tuning, which reads datasets and writes results: on Google Cloud it needs a role on each
bucket, and a job without it fails minutes after it was taken."""

from google.cloud.aiplatform_v1beta1.types import TuningJob

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.api.hosts import project_number
from jobs.localvertex.storage.buckets import Buckets, location

AGENT = "gcp-sa-vertex-moss-ft"
READING = ("roles/storage.objectViewer", "roles/storage.objectUser", "roles/storage.objectAdmin", "roles/storage.admin")
WRITING = ("roles/storage.objectUser", "roles/storage.objectAdmin", "roles/storage.admin")


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
