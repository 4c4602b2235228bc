"""What this server brings along where nobody else does: `gs://`, credentials, and the variables by which clients find
all of it."""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOKEN_PATH = "/token"  # noqa: S105  # a path
TOKEN = {
    "access_token": "local",
    "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    "token_type": "Bearer",
    "expires_in": 3600,
}
BUCKET, PROJECT, LOCATION = "local-bucket", "local-project", "us-central1"
LAST_WRITE_SECONDS = 5
STORAGE_VARIABLE = "STORAGE_EMULATOR_HOST"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--instant",
        action="store_true",
        help="for tests of programs: tuning and deployment go through every state in a moment and leave tiny random"
        " weights; nothing is learned, and a chat says so. Needs neither PyTorch nor llama.cpp",
    )
    parser.add_argument(
        "--own-storage",
        action="store_true",
        help="serve gs:// too, from DATA_DIR/storage; with --instant this is so unless STORAGE_EMULATOR_HOST is set",
    )
    parser.add_argument("--storage-port", type=int, default=0, help="of gs://; 0 picks a free one (default)")
    parser.add_argument("--bucket", default=BUCKET, help="made in that storage (default: %(default)s)")
    parser.add_argument("--project", default=PROJECT, help="to be printed for clients (default: %(default)s)")
    parser.add_argument("--location", default=LOCATION, help="to be printed for clients (default: %(default)s)")
    parser.add_argument("--until-eof", action="store_true", help=argparse.SUPPRESS)


def settle_data_dir(options: argparse.Namespace) -> Callable[[], None]:
    """The folder is there. What is returned removes the one that nobody named."""
    if options.data_dir is not None:
        options.data_dir.mkdir(parents=True, exist_ok=True)
        return lambda: None
    options.data_dir = Path(tempfile.mkdtemp(prefix="localvertex-"))
    return lambda: shutil.rmtree(options.data_dir, ignore_errors=True)


def start_storage(options: argparse.Namespace) -> Callable[[], None]:
    """Sets STORAGE_EMULATOR_HOST where storage is served here. What is returned waits for the end of its last write."""
    if not (options.own_storage or (options.instant and STORAGE_VARIABLE not in os.environ)):
        return lambda: None
    from jobs.localvertex.storage.files import open_storage  # noqa: PLC0415  # not without it
    from jobs.localvertex.storage.server import Server  # noqa: PLC0415

    storage = open_storage(options.data_dir.resolve() / "storage", options.bucket)
    server = Server(storage, options.host, options.storage_port, options.allow_host)
    os.environ[STORAGE_VARIABLE] = f"http://{_show(options.host)}:{server.hosts.port}"
    threading.Thread(target=server.serve_forever, name="storage", daemon=True).start()
    return lambda: (storage.lock.acquire(timeout=LAST_WRITE_SECONDS), None)[1]


def stop_at_eof(options: argparse.Namespace) -> None:
    """Whoever started this server holds the other end of its standard input, and lets go of it by any kind of death."""
    if not options.until_eof:
        return

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="eof", daemon=True).start()


def write_credentials(folder: Path, address: str) -> Path:
    """For programs that look for Google's default credentials: a federated identity whose tokens come from here."""
    subject, path = folder / "subject-token", folder / "credentials.json"
    subject.write_text("local", encoding="utf-8")
    about = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/0/locations/global/workloadIdentityPools/local/providers/local",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{address}{TOKEN_PATH}",
        "credential_source": {"file": str(subject)},
    }
    path.write_text(json.dumps(about, indent=2), encoding="utf-8")
    return path


def list_variables(options: argparse.Namespace, address: str) -> dict[str, str]:
    """What clients read of their environment."""
    storage = os.environ.get(STORAGE_VARIABLE)
    return ({STORAGE_VARIABLE: storage} if storage else {}) | {
        "GOOGLE_APPLICATION_CREDENTIALS": str(write_credentials(options.data_dir.resolve(), address)),
        "GOOGLE_CLOUD_PROJECT": options.project,
        "GOOGLE_CLOUD_LOCATION": options.location,
        "GOOGLE_CLOUD_REGION": options.location,
        "GOOGLE_VERTEX_BASE_URL": address,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": f"{address}/",
    }


def describe(options: argparse.Namespace, address: str, exported: dict[str, str]) -> list[str]:
    bucket = f", bucket gs://{options.bucket}" if STORAGE_VARIABLE in exported else ""
    lines = [f"Project {options.project}, location {options.location}{bucket}, api_endpoint {address}"]
    if options.instant:
        lines.append("Instant: all weights are random and nothing is learned.")
    return [*lines, *(f"export {name}={value}" for name, value in exported.items())]


def address_of(options: argparse.Namespace, port: int) -> str:
    return f"{'https' if options.tls else 'http'}://{_show(options.host)}:{port}"


def write_port_file(options: argparse.Namespace, port: int, exported: dict[str, str]) -> None:
    about: dict[str, Any] = {"port": port, "pid": os.getpid(), "bucket": options.bucket, "environment": exported}
    path: Path = options.port_file
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(about), encoding="utf-8")
    partial.replace(path)


def _show(host: str) -> str:
    """A wildcard is asked by the name of loopback."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104  # compared, not bound
        return "localhost"
    return f"[{host}]" if ":" in host else host
