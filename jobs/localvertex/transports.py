"""What may be spoken beside plain HTTP: the options for TLS and gRPC, which cost nothing while they are off."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.localvertex.tls import Certificates

TRUST = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")
ANY_ADDRESS = {"0.0.0.0", "::", ""}  # noqa: S104  # compared, not bound


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tls",
        action="store_true",
        help="speak https, with certificates of an authority of its own, made at the first start in DATA_DIR/tls and"
        " printed: clients trust it by " + ", ".join(TRUST),
    )
    parser.add_argument(
        "--grpc",
        action="store_true",
        help="answer gRPC too, the default of Google's SDK, on the same port; with --tls, the SDK needs no channel of"
        " its own",
    )


def certificates(options: argparse.Namespace) -> "Certificates | None":
    """None without --tls. Makes the authority at the first start."""
    if not options.tls:
        return None
    from jobs.localvertex.tls import Authority, Certificates  # noqa: PLC0415  # not without --tls

    names = {options.host.strip("[]"), *options.allow_host} - ANY_ADDRESS
    return Certificates(Authority(options.data_dir.resolve() / "tls", names), names, grpc=options.grpc)


def how_to_trust(authority: Path) -> str:
    return f"Clients trust it by {' or '.join(TRUST)}: {authority}"
