"""TLS and gRPC as programs meet them: one server with --tls, --grpc and --dedicated-hosts, and Google's clients."""

import json
import os
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.api_core import exceptions
from google.cloud import aiplatform_v1, aiplatform_v1beta1
from google.rpc import error_details_pb2

from tests.contract.clients.conftest import OVER_GRPC
from tests.contract.clients.recording import PROGRAM
from tests.jobs.localvertex.servers import BUCKET, PARENT, LocalVertex, wait_for
from tests.support.googlehost import certificate_of
from tests.support.localservers import order_faults, storage_emulator

DEDICATED = f"{PARENT}/endpoints/dedicated"
TRUST = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")
SDK = Path(__file__).with_name("over_tls.py")
SDK_SUITE = ("batches", "experiments", "pools", "published", "vertexai", "view_code")


@dataclass
class Secure(LocalVertex):
    """Asked over TLS, by clients that trust its authority and no other."""

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def authority(self) -> str:
        return str(self.data / "tls" / "authority.pem")

    def channel(self, name: str = "localhost") -> grpc.Channel:
        options = [("grpc.ssl_target_name_override", name)]
        trusted = grpc.ssl_channel_credentials(Path(self.authority).read_bytes())
        return grpc.secure_channel(f"127.0.0.1:{self.port}", trusted, options)

    def client(self, kind):
        return kind(transport=kind.get_transport_class("grpc")(channel=self.channel()))

    def fault(self, method, mode, **more) -> None:
        entry = {"method": method, "mode": mode, "times": 1, "set_at": time.time_ns(), **more}
        order_faults(self.folder / "faults.json", entry)

    def post(self, path: str, body: object, host: str, **headers: str) -> httpx.Response:
        """As curl does with --cacert and --resolve."""
        trusted = ssl.create_default_context(cafile=self.authority)
        with httpx.Client(verify=trusted, trust_env=False, timeout=20) as client:
            named = {"Host": f"{host}:{self.port}", **headers}
            address = f"https://127.0.0.1:{self.port}{path}"
            return client.post(address, json=body, headers=named, extensions={"sni_hostname": host})


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secure")
    (folder / "tmp").mkdir()
    with storage_emulator(folder) as address, pytest.MonkeyPatch.context() as environment:
        environment.setenv("TMPDIR", str(folder / "tmp"))
        httpx.post(f"{address}/storage/v1/b", json={"name": BUCKET}, trust_env=False)
        extra = ["--tls", "--grpc", "--dedicated-hosts", "--faults", str(folder / "faults.json")]
        running = Secure(folder, address, extra=extra, program=PROGRAM).start()
        yield running
        running.stop()


@pytest.fixture(scope="module")
def dedicated(secure):
    """The host of an endpoint that serves, without its port."""
    made = secure.deployed(
        "dedicated", endpoint_config={"dedicated_endpoint_enabled": True, "endpoint_user_id": "dedicated"}
    )
    host, _, port = made.dedicated_endpoint_dns.rpartition(":")
    assert (host.endswith(".prediction.localhost"), port) == (True, str(secure.port))
    return host


def body(text: str, **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}], **more}


def http_body(text: str) -> dict[str, object]:
    return {"endpoint": DEDICATED, "http_body": {"data": json.dumps(body(text, stream=True)).encode()}}


def test_the_sdk_needs_an_address_and_a_certificate_only(secure):
    """Its default transport, and `Endpoint.predict`, which builds an https:// address of the dedicated host itself."""
    environment = os.environ | dict.fromkeys(TRUST, secure.authority) | {"NO_PROXY": "*"}
    command = [sys.executable, str(SDK), f"localhost:{secure.port}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said.pop("host").endswith(".us-central1-101060662067.prediction.localhost")
    assert said == {"transport": "grpc", "name": "by-the-sdk", "refused": "NotFound", "answer": "Hello there"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_suite_of_the_sdk_passes_over_grpc_as_over_rest(tmp_path):
    """In a process of its own: gRPC reads what it trusts once."""
    certificate = tmp_path / "localhost.pem"
    certificate.write_bytes(certificate_of("localhost"))
    environment = os.environ | {OVER_GRPC: str(certificate), TRUST[-1]: str(certificate)}
    for inherited in ("PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS"):
        environment.pop(inherited, None)
    suite = [str(Path(__file__).with_name(f"test_{name}.py")) for name in SDK_SUITE]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *suite]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stdout[-5000:]


def test_a_dedicated_host_answers_over_tls(secure, dedicated):
    path = f"/v1beta1/{DEDICATED}/chat/completions"
    answered = secure.post(path, body("hi"), dedicated)
    assert answered.json()["choices"][0]["message"]["content"] == "Hello there"
    shared = secure.post(path, body("hi"), "localhost")
    assert (shared.status_code, dedicated in shared.json()["error"]["message"]) == (400, True)


def test_a_dedicated_host_answers_over_grpc(secure, dedicated):
    kind = aiplatform_v1beta1.PredictionServiceClient
    with secure.channel(dedicated) as channel:
        there = kind(transport=kind.get_transport_class("grpc")(channel=channel))
        parts = list(there.chat_completions(http_body("hi")))
        assert b"Hello" in b"".join(part.data for part in parts)
    with pytest.raises(exceptions.FailedPrecondition, match="cannot be accessed through the shared"):
        list(secure.client(kind).chat_completions(http_body("hi")))


def test_web_pages_are_refused_over_tls_too(secure):
    page = {"Origin": "https://evil.example"}
    assert secure.post(f"/v1/{PARENT}/endpoints", {}, "localhost", **page).status_code == 403
    with pytest.raises(httpx.ConnectError, match="not valid for 'evil.example'"):
        secure.post(f"/v1/{PARENT}/endpoints", {}, "evil.example")
    with pytest.raises(exceptions.PermissionDenied, match="does not answer web pages"):
        secure.endpoints.get_endpoint(name=DEDICATED, metadata=[("origin", "https://evil.example")])


def test_errors_have_their_details(secure):
    with pytest.raises(exceptions.NotFound, match="endpoints/none is not found"):
        secure.endpoints.get_endpoint(name=f"{PARENT}/endpoints/none")
    with pytest.raises(exceptions.InvalidArgument) as caught:
        secure.endpoints.list_endpoints(request={"parent": PARENT, "filter": "((("})
    (detail,) = caught.value.details
    assert isinstance(detail, error_details_pb2.BadRequest)
    assert detail.field_violations[0].field == "filter"
    with pytest.raises(exceptions.InvalidArgument, match="name is not of the form projects/"):
        secure.endpoints.get_endpoint(name="nonsense")
    with pytest.raises(exceptions.InvalidArgument, match="endpoint field is required"):
        secure.client(aiplatform_v1.PredictionServiceClient).predict(endpoint="", instances=[])


def test_a_long_message_does_not_outgrow_the_trailers(secure):
    long = "é" * 20_000
    with pytest.raises(exceptions.InvalidArgument, match="é{100}"):
        secure.endpoints.list_endpoints(request={"parent": PARENT, "filter": f"{long}((("})


def test_what_http_does_not_answer_is_unimplemented(secure):
    service = "google.cloud.aiplatform.v1"
    with secure.channel() as channel:
        for method in ("EndpointService/Nonsense", "DatasetService/ListDatasets", "ModelService/GetEndpoint"):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(f"/{service}.{method}")(b"")
            assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(f"/{service}.EndpointService/GetEndpoint")(b"\xff\xff\xff")
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_deadline_is_kept(secure):
    secure.fault("get_endpoint", "delay", seconds=20)
    begun = time.monotonic()
    with pytest.raises(exceptions.DeadlineExceeded):
        secure.endpoints.get_endpoint(name=DEDICATED, timeout=0.5, retry=None)
    assert time.monotonic() - begun < 10


def test_a_lost_answer_is_unavailable_and_the_call_has_happened(secure):
    secure.fault("create_endpoint", "drop_after")
    request = {"parent": PARENT, "endpoint": {"display_name": "Lost"}, "endpoint_id": "lost"}
    with pytest.raises(exceptions.ServiceUnavailable):
        secure.endpoints.create_endpoint(request, retry=None)
    assert secure.endpoints.get_endpoint(name=f"{PARENT}/endpoints/lost").display_name == "Lost"


@pytest.mark.parametrize("deadline", [None, 1.0], ids=["cancelled", "past its deadline"])
def test_a_stream_that_is_left_stops_the_model(secure, dedicated, deadline):
    kind, seen = aiplatform_v1beta1.PredictionServiceClient, secure.data / "endpoints" / "seen.jsonl"
    before = seen.read_text().count('"left"') if seen.exists() else 0
    with secure.channel(dedicated) as channel:
        there = kind(transport=kind.get_transport_class("grpc")(channel=channel))
        stream: Any = there.chat_completions(http_body("forever"), timeout=deadline)
        assert next(stream).data
        if deadline is None:
            stream.cancel()
        with pytest.raises((exceptions.Cancelled, exceptions.DeadlineExceeded)):
            list(stream)
        wait_for(lambda: seen.exists() and seen.read_text().count('"left"') > before, secure.log)


def test_the_server_goes_in_time_and_leaves_no_socket(secure, dedicated):
    """Comes last: a stream is open while it stops."""
    kind = aiplatform_v1beta1.PredictionServiceClient
    with secure.channel(dedicated) as channel:
        there = kind(transport=kind.get_transport_class("grpc")(channel=channel))
        stream: Any = there.chat_completions(http_body("forever"))
        next(stream)
        assert len(list(secure.folder.glob("tmp/*/grpc.sock"))) == 1
        assert secure.stop() < 5
    assert list(secure.folder.glob("tmp/*/grpc.sock")) == []
    assert "Traceback" not in secure.log()
