"""What goes wrong before the first byte of a create has left is never "it may or may not exist".

Google's own clients, against hosts of the test; what reached them is what was sent.
"""

import errno
import json
import logging
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest
from django.utils import timezone

from jobs.models import ProbeResult
from jobs.services.health import checks, probes
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotAuthorised, NotSent, OutcomeUnknown, Unavailable, VertexError
from jobs.vertex.sdk import Gateway, clients, credentials
from jobs.vertex.values import DeployToExistingSpec, MachineSpec
from tests.jobs.vertex.sdk.test_clients_wire import CREATES as CREATES_ALONE
from tests.support import factories
from tests.support.googlehost import google_host
from tests.support.misbehaving_server import answer, bad_server, drop, error, hang, reset, truncate
from tests.support.row_driver import Driver
from tests.support.share import each_once

pytestmark = [pytest.mark.fault("F28"), pytest.mark.timeout(240)]
NOBODY = 65534
NAME = "projects/1/locations/us-central1/tuningJobs/7"
WORKS = answer(200, {"name": NAME, "tuningJobs": []})
TO_EXISTING = DeployToExistingSpec(
    endpoint="projects/1/locations/us-central1/endpoints/7",
    deployed_model_id="7",
    model_user_id="model-7",
    display_name="My model",
    publisher_model="google/gemma3@gemma-3-270m",
    artifact_uri="",
    machine=MachineSpec("g2-standard-12", "NVIDIA_L4", 1),
    labels={"app-key": "k"},
)
CREATES = {**CREATES_ALONE, "onto": lambda: Gateway().deployment.deploy_to_existing(TO_EXISTING, {"7": 100})}
READS = {
    "job": lambda: Gateway().tuning.get(NAME),
    "list": lambda: Gateway().tuning.find("app-key", "k"),
    "storage": lambda: Gateway().storage.find_object("gs://a-bucket/a.jsonl"),
    "buckets": lambda: Gateway().storage.list_buckets("", 10),
    "rights": lambda: Gateway().storage.problem_with_output("gs://a-bucket/out"),
    "credentials": lambda: Gateway().connection.credentials(),
    "token": lambda: clients.authorise("https://us-central1-aiplatform.googleapis.com/"),
}


@pytest.fixture(scope="module")
def hosts():
    """Google's addresses, which say of everything that it works, and the variables that lead there."""
    with (
        tempfile.TemporaryDirectory() as made,
        bad_server(WORKS) as server,
        google_host(Path(made) / "google", server.address) as host,
    ):
        for open_to_all in (Path(made), host.folder, *host.folder.iterdir()):
            open_to_all.chmod(0o755)
        yield server, host


@pytest.fixture
def google(hosts, settings, monkeypatch):
    server, host = hosts
    for name, value in host.environment.items():
        monkeypatch.setenv(name, value)
    settings.VERTEX_GATEWAY, settings.VERTEX_API_ENDPOINT = "jobs.vertex.sdk.Gateway", ""
    server.behave = WORKS
    forget()
    # Whoever the process is afterwards, it has read the modules that it needs.
    for call in (*CREATES.values(), READS["job"], READS["credentials"]):
        call()
    import_module("jobs.vertex.sdk.storage.objects")
    forget()
    server.requests.clear()
    yield server
    forget()


def forget():
    """As in a process that has just started."""
    for cached in (get_gateway, clients._client, credentials.load):
        cached.cache_clear()
    if storage := sys.modules.get("jobs.vertex.sdk.storage.objects"):
        storage._build_client.cache_clear()


@pytest.fixture
def folder():
    """Every user can enter it, which is not so for `tmp_path`."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


@contextmanager
def as_nobody():
    """Root reads everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def without_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open(os.devnull, "rb") as free:
        lowest = free.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def raised(call):
    with pytest.raises(VertexError) as caught:
        call()
    return type(caught.value), str(caught.value), caught.value.code


def missing(folder):
    return folder / "none.json", "The credentials file {} doesn't exist. Add it, or correct"


def directory(folder):
    (folder / "made-by-docker").mkdir()
    return folder / "made-by-docker", "{} is a directory, not a credentials file. Docker creates a directory"


def pipe(folder):
    os.mkfifo(folder / "pipe")
    return folder / "pipe", "{} is not a regular file."


def loop(folder):
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop", "The credentials file {} cannot be read by user %d: Too many levels of symbolic links."


def below_a_file(folder):
    (folder / "file").touch()
    return folder / "file" / "below", "The credentials file {} cannot be read by user %d: Not a directory."


def long_name(folder):
    return folder / ("x" * 300), "The credentials file {} cannot be read by user %d: File name too long."


def broken(folder):
    (folder / "half.json").write_text('{"type": "service_account",\n "pri')
    return folder / "half.json", "The credentials file {} is not JSON: line 2, column 2. Copy it again."


def empty(folder):
    (folder / "empty.json").touch()
    return folder / "empty.json", "The credentials file {} is empty. Copy it again."


def binary(folder):
    (folder / "binary.json").write_bytes(b"\xff\xfe\x00")
    return folder / "binary.json", "The credentials file {} cannot be used, copy it again: "


def a_list(folder):
    (folder / "list.json").write_text("[1]")
    return folder / "list.json", "The credentials file {} cannot be used, copy it again: its content isn't valid"


def without_a_kind(folder):
    (folder / "other.json").write_text("{}")
    return folder / "other.json", "The credentials file {} cannot be used, copy it again: The file"


def without_a_key(folder):
    content = {
        "type": "service_account",
        "client_email": "a@b.c",
        "token_uri": "http://127.0.0.1:1",
        "private_key": "x",
    }
    (folder / "key.json").write_text(json.dumps(content))
    return folder / "key.json", "The credentials file {} cannot be used, copy it again: "


LASTING = [
    missing, directory, pipe, loop, below_a_file, long_name, broken, empty, binary, a_list, without_a_kind,
    without_a_key,
]  # fmt: skip


@pytest.mark.parametrize("trouble", LASTING)
def test_a_file_that_is_no_credentials_is_named_and_nothing_is_sent(google, folder, monkeypatch, trouble):
    path, sentence = trouble(folder)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    begin = sentence.format(path) % (os.geteuid() if "%" in sentence else ())
    for call in CREATES.values():
        kind, text, code = raised(call)
        assert (kind, text[: len(begin)], code) == (NotSent, begin, "UNAUTHENTICATED")
    for call in READS.values():
        kind, text, code = raised(call)
        assert (kind, text[: len(begin)], code) == (NotAuthorised, begin, "UNAUTHENTICATED")
    assert google.requests == []


def the_file(folder):
    path = folder / "secret.json"
    path.touch()
    if os.geteuid() == 0:
        os.chown(path, 1000, 1000)
    path.chmod(0o600 if os.geteuid() == 0 else 0o200)
    user, owned = NOBODY if os.geteuid() == 0 else os.geteuid(), path.stat()
    words = f"it belongs to user {owned.st_uid} with mode {owned.st_mode & 0o7777:04o}, and the console runs as user"
    return (
        path,
        f"The credentials file {path} cannot be read: {words} {user}. Make it readable for that user, or use a copy",
    )


def the_folder(folder):
    closed = folder / "closed"
    closed.mkdir()
    closed.chmod(0o600)
    path, user = closed / "below" / "secret.json", NOBODY if os.geteuid() == 0 else os.geteuid()
    words = f"the folder {closed} belongs to user {os.geteuid()} with mode 0600, and the console runs as user {user}."
    return path, f"The credentials file {path} cannot be reached: {words} Let that user enter the folder, or move"


@pytest.mark.parametrize("trouble", [the_file, the_folder])
def test_a_file_of_somebody_else_is_told_with_its_owner_mode_and_reader(google, folder, monkeypatch, trouble):
    path, begin = trouble(folder)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with as_nobody():
        creates = [raised(call) for call in CREATES.values()]
        reads = [raised(call) for call in READS.values()]
    assert {(kind, text[: len(begin)], code) for kind, text, code in creates} == {(NotSent, begin, "UNAUTHENTICATED")}
    assert {(kind, text[: len(begin)]) for kind, text, _code in reads} == {(NotAuthorised, begin)}
    assert google.requests == []


def test_once_it_can_be_read_the_same_process_goes_on(google, hosts, folder, monkeypatch):
    path, _sentence = the_file(folder)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with as_nobody():
        assert raised(CREATES["tune"])[0] is NotSent
    path.chmod(0o644)
    path.write_text(Path(hosts[1].environment["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())
    with as_nobody():
        assert CREATES["tune"]().name == NAME
    assert len(google.posts()) == 1


def test_what_the_system_lacks_for_now_is_no_refusal(google, monkeypatch):
    with without_descriptors():
        outcomes = [raised(CREATES["tune"]), raised(READS["job"])]
    words = "cannot be read: Too many open files. It belongs to user"
    assert [(kind, words in text) for kind, text, _ in outcomes] == [(NotSent, True), (Unavailable, True)]
    # A file of which every read fails.
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/proc/self/mem")
    outcomes = [raised(CREATES["tune"]), raised(READS["job"])]
    assert [(kind, "/proc/self/mem cannot be read: Input/output error." in text) for kind, text, _ in outcomes] == [
        (NotSent, True), (Unavailable, True),
    ]  # fmt: skip
    assert google.requests == []


def test_every_error_that_opening_a_file_can_end_with(google, hosts):
    """All that this system has, from a process of its own, in which opening that file is refused."""
    file = hosts[1].environment["GOOGLE_APPLICATION_CREDENTIALS"]
    command = [sys.executable, "-m", "tests.faults.refused_open"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    outcomes = {int(number): calls for number, calls in json.loads(done.stdout).items()}
    assert set(outcomes) == set(errno.errorcode)
    for number, calls in outcomes.items():
        for name, (kind, sentence, code) in calls.items():
            expected = (
                "NotSent" if name != "read" else "NotAuthorised" if number in credentials.LASTING else "Unavailable"
            )
            assert (number, kind, code, file in sentence) == (number, expected, "UNAUTHENTICATED", True)
    assert google.requests == []


def test_a_token_of_the_cluster_that_cannot_be_read(google, folder, monkeypatch):
    """Read only when a request is about to be made, by credentials that were fine."""
    federation = {
        "type": "external_account", "audience": "//iam.googleapis.com/a", "token_url": "http://127.0.0.1:1/token",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "credential_source": {"file": str(folder / "token")},
    }  # fmt: skip
    (folder / "federation.json").write_text(json.dumps(federation))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(folder / "federation.json"))
    begin = f"The credentials file {folder / 'token'} doesn't exist."
    assert [(kind, text.startswith(begin)) for kind, text, _ in map(raised, (CREATES["tune"], READS["job"]))] == [
        (NotSent, True), (NotAuthorised, True),
    ]  # fmt: skip
    (folder / "token").mkdir()
    outcomes = [raised(CREATES["tune"]), raised(READS["job"])]
    assert [(kind, f"{folder / 'token'} is a directory" in text, code) for kind, text, code in outcomes] == [
        (NotSent, True, "UNREADABLE_FILE"), (Unavailable, True, "UNREADABLE_FILE"),
    ]  # fmt: skip
    assert google.requests == []


@contextmanager
def listening(talk):
    """Gives each connection to `talk`, in a thread."""

    def serve(listener):
        with suppress(OSError):
            while True:
                connection, _peer = listener.accept()
                threading.Thread(target=alone, args=(connection,), daemon=True).start()

    def alone(connection):
        with suppress(OSError), connection:
            connection.settimeout(30)
            talk(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve, args=(listener,), daemon=True)
        serving.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            serving.join()


def hang_up(connection):
    connection.recv(65536)


def garble(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad request\r\n\r\n")


def alert(connection):
    """TLS: handshake failure."""
    connection.recv(65536)
    connection.sendall(bytes((21, 3, 3, 0, 2, 2, 40)))


def say_nothing(connection):
    while connection.recv(65536):
        pass


def refuse_the_way(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def _short_deadline(settings):
    settings.VERTEX_CREATE_SECONDS = settings.VERTEX_READ_SECONDS = 1.0


@pytest.mark.usefixtures("_short_deadline")
@pytest.mark.parametrize(("talk", "create"), each_once([hang_up, garble, alert, say_nothing], CREATES))
def test_without_tls_nothing_was_sent(google, settings, talk, create):
    with listening(talk) as port:
        settings.VERTEX_API_ENDPOINT = f"https://127.0.0.1:{port}"
        assert raised(CREATES[create])[0] is NotSent
        assert raised(READS["job"])[0] is Unavailable


@pytest.mark.parametrize("create", CREATES)
def test_a_certificate_that_is_not_trusted(google, monkeypatch, create):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.delenv("CURL_CA_BUNDLE")
    assert raised(CREATES[create])[0] is NotSent
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    assert raised(CREATES[create])[0] is NotSent
    assert google.requests == []


@pytest.mark.usefixtures("_short_deadline")
@pytest.mark.parametrize(("talk", "create"), each_once([hang_up, refuse_the_way, garble, say_nothing], CREATES))
def test_a_proxy_that_does_not_lead_there(google, monkeypatch, talk, create):
    """It hears CONNECT, which is not the request."""
    with listening(talk) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        assert raised(CREATES[create])[0] is NotSent
    assert raised(CREATES[create])[0] is NotSent
    assert google.requests == []


@pytest.mark.parametrize("create", CREATES)
@pytest.mark.parametrize("host", ["localhost." + "x." * 130 + "x", "localhost" + "x" * 70])
def test_a_name_that_cannot_be_looked_up(google, settings, create, host):
    settings.VERTEX_API_ENDPOINT = f"http://{host}:80"
    assert raised(CREATES[create])[0] is NotSent


@pytest.mark.parametrize("create", CREATES)
def test_a_kind_of_proxy_that_is_not_installed(google, monkeypatch, create):
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "socks5://127.0.0.1:1")
    assert raised(CREATES[create])[0] is NotSent
    assert google.requests == []


def test_a_request_that_cannot_be_made(google):
    """The values of a row that an older version wrote, say."""
    from dataclasses import replace  # noqa: PLC0415

    from tests.jobs.vertex.sdk.test_clients_wire import DEPLOY, TUNE  # noqa: PLC0415

    wrong = [
        lambda: Gateway().tuning.create(replace(TUNE, epochs=cast(Any, "three"))),
        lambda: Gateway().tuning.create(replace(TUNE, tuning_mode="NONE")),
        lambda: Gateway().deployment.deploy(replace(DEPLOY, min_replicas=2**40)),
    ]
    assert [raised(call)[0] for call in wrong] == [NotSent] * 3
    assert google.requests == []


def test_what_is_read_to_make_a_request_is_not_the_request(google):
    """The machine is asked for first; that this failed says nothing of a deployment."""
    google.behave = error(503, "UNAVAILABLE")
    onto = DeployToExistingSpec(**{**vars(TO_EXISTING), "machine": None})
    assert raised(lambda: Gateway().deployment.deploy_to_existing(onto, {"7": 100}))[0] is NotSent
    assert (google.posts(), len(google.requests)) == ([], 1)


@pytest.mark.usefixtures("_short_deadline")
@pytest.mark.parametrize(
    ("behave", "create"),
    each_once([drop, reset, truncate, hang, error(503, "UNAVAILABLE"), answer(200, b"<html>")], CREATES),
)
def test_after_the_first_byte_it_is_unknown(google, behave, create):
    """Through TLS and a proxy, with credentials: all that comes before has gone well."""
    google.behave = behave
    assert raised(CREATES[create])[0] is OutcomeUnknown
    assert len(google.posts()) == 1


@pytest.mark.parametrize("create", CREATES)
def test_a_token_that_ends_between_two_tries(google, hosts, folder, monkeypatch, create):
    """Vertex AI refuses the first; what is sent after it, if anything, is another request."""
    google.behave = error(401, "UNAUTHENTICATED")
    account = json.loads(Path(hosts[1].environment["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())
    again = {"type": "authorized_user", "client_id": "1", "client_secret": "2", "refresh_token": "3"}
    (folder / "user.json").write_text(json.dumps({**again, "token_uri": account["token_uri"]}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(folder / "user.json"))
    kind, text, _code = raised(CREATES[create])
    assert (issubclass(kind, NotAuthorised | NotSent), "may or may not exist" in text) == (True, False)


@pytest.fixture
def driver(db):
    return Driver()


@pytest.mark.django_db
def test_the_job_waits_with_the_sentence_and_the_log_has_it_once(google, folder, monkeypatch, driver, caplog):
    job = factories.job(next_check_at=driver.now, prepared_at=driver.now, request_hash="c0ffee00" * 8)
    path, begin = directory(folder)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with caplog.at_level(logging.WARNING, "jobs.services"):
        for _ in range(3):
            driver.step(job)
    assert (job.state, job.phase, job.attempt, job.strikes) == ("QUEUED", "INTENT", 0, 0)
    assert job.notice.startswith(begin.format(path))
    assert [record.getMessage() for record in caplog.records] == [f"TuningJob {job.pk} waits: {job.notice}"]


@pytest.mark.django_db
def test_the_checks_name_the_file_and_the_log_has_it_once(google, folder, monkeypatch, settings, caplog):
    settings.VERTEX_BUCKET = "gs://a-bucket"
    path, begin = the_file(folder)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    found = [checks.Found(), checks.Found()]
    with caplog.at_level(logging.WARNING, "jobs.services"):
        for _ in range(2):
            with as_nobody():
                found = [probes._run(checks.storage), probes._run(checks.vertex)]
            probes._keep("storage", found[0])
            probes._keep("vertex", found[1])
    storage, vertex = ProbeResult.objects.get(name="storage"), ProbeResult.objects.get(name="vertex")
    assert (storage.detail[: len(begin)], vertex.detail[: len(begin)]) == (begin, begin)
    assert (storage.facts["lacks"], vertex.facts["lacks"]) == ("credentials", "credentials")
    assert [step["state"] for step in vertex.facts["steps"]] == ["failed", "unknown", "unknown"]
    assert [record.getMessage() for record in caplog.records] == [
        f"The check of storage failed: {storage.detail}", f"The check of vertex failed: {vertex.detail}",
    ]  # fmt: skip
    assert timezone.now() >= vertex.checked_at
