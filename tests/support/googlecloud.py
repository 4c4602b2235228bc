"""A project on Google Cloud for programs that know of nothing else: the local server as Google is, behind the proxy
that stands for Google's hosts, with a bucket, and with everything granted until a test takes it away."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from jobs.vertex import get_gateway
from jobs.vertex.sdk import clients, credentials
from jobs.vertex.sdk.chat.connections import make_context
from jobs.vertex.sdk.cloud import rest
from jobs.vertex.sdk.storage import objects
from tests.support.googlehost import GoogleHost, google_host
from tests.support.localservers import LocalVertex, local_servers

PROJECT, BUCKET = "garden-local", "garden-local"
AGENTS = ("gcp-sa-aiplatform", "gcp-sa-vertex-moss-ft")
ROLE = "roles/storage.objectUser"


@dataclass
class GoogleCloud:
    """`environment`: what a console needs to come here, as a person with a project sets it."""

    servers: LocalVertex
    host: GoogleHost

    @property
    def environment(self) -> dict[str, str]:
        proxy = self.host.environment["HTTPS_PROXY"]
        return self.host.environment | {
            "HTTP_PROXY": proxy,
            "http_proxy": proxy,
            "VERTEX_PROJECT": PROJECT,
            "VERTEX_LOCATION": "us-central1",
            "VERTEX_BUCKET": f"gs://{BUCKET}",
            "VERTEX_POLL_SECONDS": "0.3",
        }

    def be_friendly(self) -> None:
        self.servers.order()
        self.host.renew()
        self.place_bucket("US-CENTRAL1")
        self.grant(*AGENTS)

    def grant(self, *agents: str) -> None:
        """These of Vertex AI's own accounts have their role on the bucket, and nobody else has one."""
        number = self._ask("GET", f"{self.servers.address}/v1/projects/{PROJECT}")["projectNumber"]
        members = [f"serviceAccount:service-{number}@{agent}.iam.gserviceaccount.com" for agent in agents]
        policy = {"bindings": [{"role": ROLE, "members": members}] if members else []}
        self._ask("PUT", f"{self._buckets}/{BUCKET}/iam", policy)

    def place_bucket(self, location: str) -> None:
        self._ask("PATCH", f"{self._buckets}/{BUCKET}", {"location": location})

    def make_job(self, from_folder: str, base_model: str, name: str) -> str:
        """As another program does it, with the data that the job of the console left in its bucket."""
        (data, *_others) = self._ask("GET", f"{self._buckets}/{BUCKET}/o?prefix=datasets/")["items"]
        spec = {"trainingDatasetUri": f"gs://{BUCKET}/{data['name']}", "tuningMode": "TUNING_MODE_FULL"}
        body = {"baseModel": base_model, "tunedModelDisplayName": name, "outputUri": f"{from_folder}-other",
                "supervisedTuningSpec": spec}  # fmt: skip
        return str(self._ask("POST", f"{self._vertex}/tuningJobs", body)["name"])

    def register_model(self, model_id: str) -> None:
        garden = {"publicModelName": "publishers/google/models/gemma3", "versionId": "gemma-3-1b-it"}
        body = {"modelId": model_id, "model": {"displayName": "By hand", "baseModelSource": {
            "modelGardenSource": garden,
        }}}  # fmt: skip
        self._ask("POST", f"{self._vertex}/models:upload", body)

    def list_endpoints(self) -> list[str]:
        """Those that serve something, and so are paid for."""
        found = self._ask("GET", f"{self._vertex}/endpoints").get("endpoints", [])
        return [one["name"] for one in found if one.get("deployedModels")]

    @property
    def _vertex(self) -> str:
        return f"{self.servers.address}/v1beta1/projects/{PROJECT}/locations/us-central1"

    @property
    def _buckets(self) -> str:
        return f"{self.servers.storage}/storage/v1/b"

    def _ask(self, verb: str, address: str, body: object = None) -> dict[str, Any]:
        reply = httpx.request(verb, address, json=body, trust_env=False)
        reply.raise_for_status()
        return dict(reply.json())


@contextmanager
def visiting(cloud: GoogleCloud) -> Iterator[None]:
    """This process goes there, as one that has just started. Its settings are the caller's."""
    before = dict(os.environ)
    os.environ.update(cloud.environment)
    os.environ.pop("STORAGE_EMULATOR_HOST", None)
    _forget()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        _forget()


def _forget() -> None:
    for cached in (get_gateway, clients._client, credentials.load, rest._session, objects._build_client, make_context):
        cached.cache_clear()


@contextmanager
def google_cloud(folder: Path, options: Sequence[str] = ("--instant",)) -> Iterator[GoogleCloud]:
    with (
        local_servers(folder, ["--as-google", *options]) as servers,
        google_host(folder / "google", servers.address, servers.storage) as host,
    ):
        httpx.post(f"{servers.storage}/storage/v1/b", json={"name": BUCKET}, trust_env=False).raise_for_status()
        cloud = GoogleCloud(servers, host)
        cloud.be_friendly()
        yield cloud
