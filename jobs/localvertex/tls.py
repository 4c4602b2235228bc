"""TLS for development: an authority of this server's own, and a certificate for each name that it is asked by.

Whoever trusts the authority lets it speak for this server's names only: a name constraint keeps it from every other
host's. It does not keep it from addresses, since BoringSSL, in Google's gRPC, refuses constraints on these.
"""

import ipaddress
import logging
import os
import re
import ssl
import sys
import tempfile
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

log = logging.getLogger(__name__)

CERTIFICATE, KEY = "authority.pem", "authority.key"
AUTHORITY_LIFE, LIFE, SKEW = timedelta(days=3650), timedelta(days=90), timedelta(hours=1)
LOOPBACK = ("localhost", "127.0.0.1", "::1")
DEDICATED = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+localhost")
MOST_NAMES = 64
ALPN = ["http/1.1", "h2"]  # gRPC's clients offer h2 alone; everybody else offers http/1.1 too
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Authority:
    """Reads the one in `folder`, or makes it. `names` are what the server has beside those of loopback.

    Exits with a sentence when the authority that is there may not speak for one of `names`.
    """

    def __init__(self, folder: Path, names: Collection[str] = (), *, clock: Clock = utc_now) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / CERTIFICATE
        self._folder = folder
        named = [one.value for one in map(_general, map(_bare, names)) if isinstance(one, x509.DNSName)]
        wanted = list(dict.fromkeys(["localhost", *sorted(named)]))
        self._key, self.certificate = _read(folder, clock()) or _make(folder, wanted, clock())
        if missing := [name for name in wanted if name not in _list_permitted(self.certificate)]:
            sys.exit(
                f"The authority in {folder} was made without {', '.join(missing)}. Move that folder away to have"
                " another made, and give your clients its certificate."
            )

    def sign(self, names: Collection[str], key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
        """A certificate of 90 days for a server with these names."""
        until = min(now + LIFE, self.certificate.not_valid_after_utc)
        issuer = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return (
            _builder(key, "Local Vertex AI", self.certificate.subject, now, until)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
            .sign(self._key, hashes.SHA256())
        )


class Certificates:
    """What a connection is shown: chosen by the name that it asks for, made when it is first needed, renewed after
    two thirds of its life."""

    def __init__(
        self, authority: Authority, names: Collection[str], *, grpc: bool = False, clock: Clock = utc_now
    ) -> None:
        self._clock = clock
        self._authority = authority
        self._names = tuple(dict.fromkeys([*LOOPBACK, *map(_bare, names)]))
        self._protocols = ALPN if grpc else ALPN[:1]
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._contexts: dict[str, tuple[ssl.SSLContext, datetime]] = {}
        self._asked: WeakKeyDictionary[ssl.SSLObject, str] = WeakKeyDictionary()

    def context(self) -> ssl.SSLContext:
        context = self._make("")
        context.sni_callback = self._choose
        return context

    @property
    def authority(self) -> Path:
        """The file of its certificate, which clients trust."""
        return self._authority.path

    def name_asked(self, connection: ssl.SSLObject) -> str:
        """The name by which a client asked for this connection; empty when it told none."""
        return self._asked.get(connection, "")

    def _choose(self, connection: ssl.SSLObject, name: str | None, _default: ssl.SSLContext) -> None:
        asked = (name or "").lower()
        self._asked[connection] = asked
        try:
            connection.context = self._current(asked if DEDICATED.fullmatch(asked) else "")
        except OSError as error:
            log.warning("No certificate could be made for %r: %s", asked, error)

    def _current(self, name: str) -> ssl.SSLContext:
        now = self._clock()
        known = self._contexts.pop(name, None)
        if known is None or now >= known[1]:
            known = self._make(name), now + LIFE * 2 / 3
        if len(self._contexts) >= MOST_NAMES:
            del self._contexts[next(iter(self._contexts))]
        self._contexts[name] = known
        return known[0]

    def _make(self, name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(self._protocols)
        certificate = self._authority.sign([name] if name else self._names, self._key, self._clock())
        with tempfile.NamedTemporaryFile(dir=self._authority.path.parent) as file:  # Python reads it from a file only
            file.write(_pem(self._key) + certificate.public_bytes(Encoding.PEM))
            file.flush()
            context.load_cert_chain(file.name)
        return context


def _read(folder: Path, now: datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None:
    """None when there is none that can go on: damaged, half written or soon at its end."""
    try:
        key = load_pem_private_key((folder / KEY).read_bytes(), None)
        certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
        certificate.verify_directly_issued_by(certificate)
    except (FileNotFoundError, ValueError, TypeError, InvalidSignature):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return None
    return (key, certificate) if certificate.not_valid_after_utc - LIFE > now else None


def _make(
    folder: Path, permitted: Collection[str], now: datetime
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = f"Local Vertex AI's authority of {now:%d %B %Y %H:%M:%S}"
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        _builder(key, subject, None, now, now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.NameConstraints([x509.DNSName(name) for name in permitted], None), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(folder / KEY, _pem(key))
    _write(folder / CERTIFICATE, certificate.public_bytes(Encoding.PEM))
    return key, certificate


def _builder(
    key: ec.EllipticCurvePrivateKey, subject: str, issuer: x509.Name | None, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, subject)])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer or name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _list_permitted(certificate: x509.Certificate) -> list[str]:
    constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    return [str(one.value) for one in constraints.permitted_subtrees or []]


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _bare(host: str) -> str:
    return host.strip("[]").lower()


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes) -> None:
    """For this user's eyes only, whatever the umask; whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    partial.replace(path)
