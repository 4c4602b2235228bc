"""The authority and its certificates, by handshakes in memory."""

import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from jobs.localvertex import tls
from jobs.localvertex.tls import MOST_NAMES, Authority, Certificates

DEDICATED = "7.us-central1-100000000001.prediction.localhost"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "tls"


def handshake(context: ssl.SSLContext, authority: Authority, name: str, alpn=("http/1.1",)) -> ssl.SSLObject:
    """The client's end. Raises SSLError as a client would that trusts the authority alone."""
    trusting = ssl.create_default_context(cafile=str(authority.path))
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT
    trusting.set_alpn_protocols(list(alpn))
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(back, there, server_hostname=name)
    server = context.wrap_bio(there, back, server_side=True)
    for end in (client, server, client, server):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    client.do_handshake()
    return client


def certificate_of(client: ssl.SSLObject) -> x509.Certificate:
    shown = client.getpeercert(binary_form=True)
    assert shown
    return x509.load_der_x509_certificate(shown)


def serial(client: ssl.SSLObject) -> int:
    return certificate_of(client).serial_number


def names_shown(client: ssl.SSLObject) -> set[str]:
    shown: Any = client.getpeercert()["subjectAltName"]
    return {value for _kind, value in shown}


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", DEDICATED, "console.internal", "10.0.0.7"])
def test_each_name_of_the_server_is_trusted(folder, name):
    names = ["console.internal", "10.0.0.7"]
    authority = Authority(folder, names)
    shown = handshake(Certificates(authority, names).context(), authority, name)
    assert shown.version() == "TLSv1.3"


def test_a_dedicated_host_has_a_certificate_of_its_own(folder):
    authority = Authority(folder)
    context = Certificates(authority, []).context()
    assert names_shown(handshake(context, authority, DEDICATED)) == {DEDICATED}


def test_the_authority_stays_from_start_to_start_and_its_key_is_private(folder):
    first, second = Authority(folder), Authority(folder)
    assert first.certificate == second.certificate
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "authority.key": 0o600,
        "authority.pem": 0o600,
    }
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("host", ["aiplatform.googleapis.com", "localhost.example.com"])
def test_nobody_believes_it_about_other_hosts(folder, host):
    authority, key = Authority(folder), ec.generate_private_key(ec.SECP256R1())
    forged = Certificates(authority, []).context()
    certificate = authority.sign([host], key, datetime.now(UTC))
    (folder / "forged.pem").write_bytes(tls._pem(key) + certificate.public_bytes(Encoding.PEM))
    forged.sni_callback = None
    forged.load_cert_chain(folder / "forged.pem")
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        handshake(forged, authority, host)


def test_a_name_that_the_authority_may_not_speak_for_is_told(folder):
    Authority(folder)
    with pytest.raises(SystemExit, match=r"was made without console\.internal\. Move that folder away"):
        Authority(folder, ["console.internal"])
    assert Authority(folder, ["192.168.1.9", "[::1]"]).path.exists()


@pytest.mark.parametrize("name", ["authority.key", "authority.pem"])
def test_a_damaged_authority_is_made_anew(folder, name):
    first = Authority(folder)
    (folder / name).write_bytes(b"damaged")
    second = Authority(folder)
    assert second.certificate != first.certificate
    handshake(Certificates(second, []).context(), second, "localhost")


def test_a_certificate_is_renewed_while_the_old_one_still_holds(folder):
    authority, now = Authority(folder), [datetime.now(UTC)]
    context = Certificates(authority, [], clock=lambda: now[0]).context()
    serials = []
    for days in (-61, -2, 0):  # a client has the real clock
        now[0] = datetime.now(UTC) + timedelta(days=days)
        shown = certificate_of(handshake(context, authority, "localhost"))
        serials.append(shown.serial_number)
        assert shown.not_valid_after_utc - now[0] > timedelta(days=29)
    assert serials[0] == serials[1] != serials[2]


def test_an_authority_near_its_end_is_made_anew(folder):
    old = Authority(folder, clock=lambda: datetime.now(UTC) - timedelta(days=3600))
    assert Authority(folder).certificate != old.certificate


@pytest.mark.parametrize(
    ("grpc", "offered", "chosen"),
    [
        (True, ["h2"], "h2"),
        (True, ["h2", "http/1.1"], "http/1.1"),
        (False, ["h2", "http/1.1"], "http/1.1"),
        (False, ["h2"], None),
    ],
)
def test_http_2_is_for_clients_that_offer_nothing_else(folder, grpc, offered, chosen):
    """Browsers and curl offer both: they would find gRPC where they want REST."""
    authority = Authority(folder)
    context = Certificates(authority, [], grpc=grpc).context()
    assert handshake(context, authority, DEDICATED, offered).selected_alpn_protocol() == chosen


def test_names_that_clients_ask_for_are_kept_in_bounds(folder):
    authority = Authority(folder)
    context = Certificates(authority, []).context()
    asked = ["first.localhost", "again.localhost", *(f"{number}.localhost" for number in range(MOST_NAMES - 1))]
    first, again, *_ = [serial(handshake(context, authority, name)) for name in asked]
    assert serial(handshake(context, authority, "again.localhost")) == again
    assert serial(handshake(context, authority, "first.localhost")) != first
