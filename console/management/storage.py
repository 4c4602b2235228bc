"""gcp-storage-emulator, with files that a kill cannot tear and a clean end on SIGTERM.

By itself it rewrites its whole index in place at every change, and cannot start with half an index.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from gcp_storage_emulator import storage
from gcp_storage_emulator.__main__ import main


def write_whole(store: Any, name: str, content: bytes) -> None:
    path = Path(store._disk_path(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name[:100]}.{os.getpid()}.partial")
    partial.write_bytes(content)
    partial.replace(path)


if __name__ == "__main__":
    os.umask(0o077)
    storage._FileStore.write_bytes = write_whole
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main(sys.argv[1:])
