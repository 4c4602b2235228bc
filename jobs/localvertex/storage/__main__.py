"""Cloud Storage on this machine: `python -m jobs.localvertex.storage --data-dir DIR --port PORT`."""

import argparse
import logging
import os
import signal
from pathlib import Path

from jobs.localvertex.storage.files import open_storage
from jobs.localvertex.storage.server import Server

LAST_WRITE_SECONDS = 5


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m jobs.localvertex.storage",
        description="gs:// on this machine, for Google's clients with STORAGE_EMULATOR_HOST.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=9023, help="0 picks a free one (default: %(default)s)")
    parser.add_argument("--data-dir", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--default-bucket", help="made if it is not there")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another host name by which clients may ask, such as that of a container",
    )
    return parser.parse_args(argv)


def main() -> None:
    options = arguments()
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    storage = open_storage(options.data_dir.resolve(), options.default_bucket)
    server = Server(storage, options.host, options.port, options.allow_host)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"Local Cloud Storage listens on http://{options.host}:{server.hosts.port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        storage.lock.acquire(timeout=LAST_WRITE_SECONDS)
        os._exit(0)


if __name__ == "__main__":
    main()
