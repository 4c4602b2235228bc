"""How `make test` comes by a Chromium, with programs that stand in for the system's."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.support import browser
from tests.support.localservers import free_port
from tests.support.running import ROOT

IS_DEBIAN = browser.is_debian(Path("/etc/os-release"))
NO_LIBRARY = 'echo "$0: error while loading shared libraries: libnss3.so: cannot open shared object file" >&2; exit 127'
REFUSES = "echo 'E: Unable to locate package chromium-headless-shell' >&2; exit 100"


def write(folder: Path, **programs: str) -> None:
    for name, text in programs.items():
        (folder / name.replace("_", "-")).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name.replace("_", "-")).chmod(0o755)


def set_up(folder: Path) -> "subprocess.CompletedProcess[str]":
    """On a machine that has these programs alone, and no network."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    given = {"PATH": str(folder), "HOME": str(folder), "PLAYWRIGHT_DOWNLOAD_HOST": nowhere}
    command = [sys.executable, "-m", "tests.support.browser"]
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=60, check=False)


def test_the_system_s_own_is_taken(tmp_path):
    with sync_playwright() as playwright:
        write(tmp_path, chromium=f'exec {browser.program(playwright)} "$@"', apt_get="exit 9")
    for name in ("sh", "env", "dirname", "readlink"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    ended = set_up(tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_without_any_it_says_so_within_seconds(tmp_path):
    began = time.monotonic()
    ended = set_up(tmp_path)
    lines = ended.stderr.splitlines()
    assert (ended.returncode, lines[0]) == (1, "The browser tests need Chromium, and there is none that starts.")
    assert "Playwright's own cannot be downloaded: " in ended.stderr
    assert "apt-get install chromium-headless-shell" in ended.stderr
    assert time.monotonic() - began < 20


def test_one_that_lacks_a_library_is_named_with_it(tmp_path):
    write(tmp_path, chromium=NO_LIBRARY)
    (tmp_path / "sh").symlink_to("/bin/sh")
    assert f"{tmp_path}/chromium does not start: it lacks the library libnss3.so." in set_up(tmp_path).stderr


@pytest.mark.skipif(not IS_DEBIAN, reason="Debian's package is installed on Debian only")
@pytest.mark.parametrize("sudo", ['shift; exec "$@"', "exit 1"])
def test_debian_s_package_is_installed_by_who_may(tmp_path, sudo):
    """As root, or with a sudo that asks for no password."""
    write(tmp_path, apt_get=f'echo "$@" >>{tmp_path}/log; {REFUSES}', sudo=sudo)
    ended = set_up(tmp_path)
    asked = (tmp_path / "log").exists()
    assert (ended.returncode, asked) == (1, os.geteuid() == 0 or sudo != "exit 1")
    told = (
        "apt-get update failed: E: Unable to locate package chromium-headless-shell"
        if asked
        else "Debian's package needs root"
    )
    assert told in ended.stderr


@pytest.mark.skipif(not IS_DEBIAN, reason="Debian's package is installed on Debian only")
@pytest.mark.slow
def test_what_was_installed_is_tried(tmp_path):
    with sync_playwright() as playwright:
        real = browser.program(playwright)
    made = f'[ "$1" = update ] || printf \'#!/bin/sh\\nexec {real} "$@"\\n\' >{tmp_path}/chromium-headless-shell'
    last = "for word; do :; done"
    write(
        tmp_path,
        apt_get=f"{last}; [ $word = update ] || {{ {made}; /bin/chmod +x {tmp_path}/chromium-headless-shell; }}",
    )
    write(tmp_path, sudo='shift; exec "$@"')
    for name in ("sh", "env", "dirname", "readlink"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    ended = set_up(tmp_path)
    message = "Installing Debian's package chromium-headless-shell for the browser tests.\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, message, "")


@pytest.mark.parametrize(
    ("text", "answer"), [("ID=debian\n", True), ("ID=ubuntu\nID_LIKE=debian\n", False), ("ID=fedora\n", False)]
)
def test_ubuntu_s_package_is_none(tmp_path, text, answer):
    (tmp_path / "os-release").write_text(text)
    assert browser.is_debian(tmp_path / "os-release") is answer
