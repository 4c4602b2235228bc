"""The Chromium of the browser tests, and how a machine comes by one: `make browser`, or
`python -m tests.support.browser`.

The system's own; else Debian's package, where this user may install one; else the one that Playwright downloads.
"""

import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import Error, Playwright, sync_playwright

# The same pages without a browser around them, in half of the processor's time.
SHELL = "chromium-headless-shell"
NAMES = ("chromium", "google-chrome", "chromium-browser", "google-chrome-stable")
ON_MACOS = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",)
REMEDIES = """Remedies:
    on Debian: {sudo}apt-get install chromium-headless-shell
    elsewhere: Chromium or Google Chrome from the system's packages, with a program of that name in PATH
    or, with the network: {python} -m playwright install chromium
               {sudo}{python} -m playwright install-deps chromium
Without a browser: {python} -m pytest -m "not e2e and not slow\""""
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run"]
ABSENT = "There is no Chromium: run `make browser`."
OUT_OF_REACH = 3
INSTALL = [sys.executable, "-m", "playwright", "install"]
APT = ["-o", "Acquire::http::Timeout=5", "-o", "Acquire::Retries=0", "-o", "DPkg::Lock::Timeout=60", "-qq"]


class NoBrowser(Exception):
    """One sentence for each way that was tried."""


def program(playwright: Playwright, *, for_people: bool = False) -> str:
    """Of the system, or what Playwright downloaded earlier. `for_people`: a whole browser, where there is one."""
    names = (*NAMES, SHELL) if for_people else (SHELL, *NAMES)
    found = next((path for name in names if (path := shutil.which(name))), None)
    found = found or next(
        (path for path in (*ON_MACOS, playwright.chromium.executable_path) if Path(path).exists()), None
    )
    if found is None:
        raise NoBrowser(ABSENT)
    return found


def set_up() -> None:
    """Returns when one has opened a page. Installs one where there is none that does."""
    refusals = []
    for way in (lambda: None, install_package, download):
        try:
            way()
            open_page()
        except NoBrowser as refusal:
            refusals.append(str(refusal))
        else:
            return
    raise NoBrowser("\n".join(refusal for refusal in dict.fromkeys(refusals) if refusal != ABSENT))


def open_page() -> None:
    """A browser may be there and lack a library."""
    with sync_playwright() as playwright:
        path = program(playwright)
        try:
            browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS, timeout=30_000)
            browser.new_page().set_content("<p>Ready</p>")
            browser.close()
        except Error as error:
            missing = re.findall(r"error while loading shared libraries: (\S+?):", error.message)
            reason = f"it lacks the library {missing[0]}" if missing else error.message.strip().splitlines()[0]
            raise NoBrowser(f"{path} does not start: {reason}.") from None


def install_package() -> None:
    if not shutil.which("apt-get") or not is_debian(Path("/etc/os-release")):
        raise NoBrowser("This is not Debian, so its package was not tried.")
    power = ways_to_install()
    if power is None:
        raise NoBrowser("Debian's package needs root, or a sudo that asks for no password.")
    print(f"Installing Debian's package {SHELL} for the browser tests.", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", SHELL]):
        ended = subprocess.run(
            [*power, "apt-get", *APT, *words], env=environment, capture_output=True, text=True, check=False
        )
        if ended.returncode:
            raise NoBrowser(f"apt-get {words[0]} failed: {last_line(ended.stderr)}")


def is_debian(os_release: Path) -> bool:
    """Ubuntu's package of this name only leads to a snap, which Playwright cannot drive."""
    text = os_release.read_text() if os_release.exists() else ""
    return "debian" in text.lower() and "ubuntu" not in text.lower()


def ways_to_install() -> list[str] | None:
    """What goes before apt-get; None where this user may not."""
    if os.geteuid() == 0:
        return []
    may = shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    return ["sudo", "-n"] if may and may.returncode == 0 else None


def download() -> None:
    address = address_of_download()
    if not answers(address):
        raise NoBrowser(f"Playwright's own cannot be downloaded: {address} does not answer.")
    print("Downloading Playwright's Chromium for the browser tests.", flush=True)
    ended = subprocess.run([*INSTALL, "--no-shell", "chromium"], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise NoBrowser(f"Playwright's own cannot be downloaded: {last_line(ended.stderr)}")


def address_of_download() -> str:
    said = subprocess.run([*INSTALL, "--dry-run", "chromium"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"Download url:\s+(\S+)", said)
    if found is None:
        raise NoBrowser("Playwright has no Chromium for this system.")
    return found[1]


def answers(address: str) -> bool:
    """Playwright itself would try for minutes."""
    try:
        urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=OUT_OF_REACH).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def main() -> int:
    try:
        set_up()
    except NoBrowser as refused:
        sudo = "" if os.geteuid() == 0 else "sudo "
        print(f"The browser tests need Chromium, and there is none that starts.\n{refused}", file=sys.stderr)
        print(REMEDIES.format(sudo=sudo, python=sys.executable), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
