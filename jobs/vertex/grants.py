"""The `gcloud` commands that put right what is missing in a project.

People paste them into a shell, and what fills them may come from a server or a file: whatever isn't of the form of such
a name becomes a placeholder.
"""

import re

from django.conf import settings

VERTEX = "aiplatform.googleapis.com"
ROLE_OF_BUCKET, ROLE_OF_VERTEX = "roles/storage.objectUser", "roles/aiplatform.user"

_ACCOUNT = re.compile(r"[\w.+-]+@(?:[\w-]+\.)+[a-z]+", re.ASCII)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]*")
_PLACE = re.compile(r"[a-z0-9-]+")


def name_member(account: str) -> str:
    """As IAM writes it, such as `user:ann@example.com`."""
    known = account if _ACCOUNT.fullmatch(account) else "YOUR_ACCOUNT"
    return f"{'serviceAccount' if known.endswith('.gserviceaccount.com') else 'user'}:{known}"


def name_agent(project_number: str, agent: str) -> str:
    """The address of one of Vertex AI's own accounts in a project."""
    number = project_number if project_number.isascii() and project_number.isdigit() else "PROJECT_NUMBER"
    return f"service-{number}@{agent}.iam.gserviceaccount.com"


def enable_api(service: str) -> str:
    return f"gcloud services enable {service} --project={settings.VERTEX_PROJECT}"


def link_billing() -> str:
    return f"gcloud billing projects link {settings.VERTEX_PROJECT} --billing-account=BILLING_ACCOUNT"


def set_quota_project() -> str:
    return f"gcloud auth application-default set-quota-project {settings.VERTEX_PROJECT}"


def grant_on_project(account: str, role: str) -> str:
    member = name_member(account)
    return f"gcloud projects add-iam-policy-binding {settings.VERTEX_PROJECT} --member={member} --role={role}"


def grant_on_bucket(bucket: str, account: str) -> str:
    """`bucket` without `gs://`."""
    member = name_member(account)
    return (
        f"gcloud storage buckets add-iam-policy-binding gs://{_name_bucket(bucket)} --member={member}"
        f" --role={ROLE_OF_BUCKET}"
    )


def create_bucket(bucket: str, location: str) -> str:
    place = location if _PLACE.fullmatch(location) else "LOCATION"
    return (
        f"gcloud storage buckets create gs://{_name_bucket(bucket)} --project={settings.VERTEX_PROJECT}"
        f" --location={place} --uniform-bucket-level-access"
    )


def ask_for_quota(name: str, value: int, region: str) -> str:
    place = region if _PLACE.fullmatch(region) else "REGION"
    return (
        f"gcloud beta quotas preferences create --service={VERTEX} --project={settings.VERTEX_PROJECT}"
        f" --quota-id={name} --preferred-value={value} --dimensions=region={place}"
    )


def build_trainer(location: str) -> list[str]:
    """From the folder of this program: the image that trains adapters, in the project's own registry."""
    place = location if _PLACE.fullmatch(location) and location != "global" else "us-central1"
    host = f"{place}-docker.pkg.dev"
    image = f"{host}/{settings.VERTEX_PROJECT.replace(':', '/')}/garden/garden-trainer:1"
    return [
        enable_api("artifactregistry.googleapis.com"),
        f"gcloud artifacts repositories create garden --repository-format=docker --location={place}"
        f" --project={settings.VERTEX_PROJECT}",
        f"gcloud auth configure-docker {host}",
        f"docker build -f containers/trainer.containerfile -t {image} .",
        f"docker push {image}",
        f"export VERTEX_TRAINER_IMAGE={image}",
    ]


def _name_bucket(bucket: str) -> str:
    return bucket if _BUCKET.fullmatch(bucket) else "BUCKET"
