"""Runs `make up` until its link leads to a page, then stops it as Ctrl-C does. With the system's Python alone."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from typing import IO, Any

LINK = re.compile(r"^Ready\. Open (http://\S+)$", re.M)
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
PATIENCE = 2300


def main() -> int:
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            ["make", "up"], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            link = wait_for_link(process, output, began)
            seen: dict[str, Any] = {"seconds until Ready": time.monotonic() - began, "status": first_page(link)}
        finally:
            stopped = time.monotonic()
            os.killpg(process.pid, signal.SIGINT)
            process.wait(60)
    seen |= {"seconds until it has ended": time.monotonic() - stopped, "left": left()}
    version = [".venv/bin/python", "-c", "import sys, torch; print(sys.version.split()[0], torch.__version__)"]
    seen["python"], seen["torch"] = subprocess.run(
        version, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.split()
    print(json.dumps(seen))
    return 0


def wait_for_link(process: "subprocess.Popen[bytes]", output: IO[str], began: float) -> str:
    said = ""
    while process.poll() is None and time.monotonic() < began + PATIENCE:
        said = os.pread(output.fileno(), 1 << 20, 0).decode(errors="replace")
        if found := LINK.search(said):
            return found[1]
        time.sleep(0.2)
    raise SystemExit(f"`make up` did not come up:\n{said}")


def first_page(link: str) -> int:
    """The dashboard, behind the button that the link leads to."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with browser.open(link, timeout=60) as answer:
        token = TOKEN.findall(answer.read().decode())[0]
    form = urllib.parse.urlencode({"csrfmiddlewaretoken": token}).encode()
    with browser.open(urllib.request.Request(link, form, {"Referer": link}), timeout=60) as answer:
        text = answer.read().decode()
        assert ("<h1" in text, urllib.parse.urlsplit(answer.url).path) == (True, "/"), answer.url
        return int(answer.status)


def left() -> list[str]:
    """Programs of the console that outlive it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(Path.cwd() / ".venv") in line or "manage.py up" in line:
            found.append(line)
    return found


if __name__ == "__main__":
    sys.exit(main())
