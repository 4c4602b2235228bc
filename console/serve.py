"""`python -m console.serve --host … --port …` runs the web process: uvicorn with the limits of console/entrance.

Takes uvicorn's options and adds those that belong to the console, in this one place.
"""

import os
import resource
import sys
from typing import Final

import uvicorn

FILES: Final = 16_384
OPTIONS: Final = (
    "--http",
    "console.entrance.connections:Connection",
    "--ws",
    "none",
    "--h11-max-incomplete-event-size",
    "32768",
    "--no-server-header",
    "--no-access-log",
    # console/proxies.py reads them, of the proxies that the settings name.
    "--no-proxy-headers",
)


def allow_many_files() -> None:
    """Each connection is one; many systems give a process 1,024 unless it asks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    allow_many_files()
    uvicorn.main(["console.asgi:application", *OPTIONS, *sys.argv[1:]])


if __name__ == "__main__":
    main()
