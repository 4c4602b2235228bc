"""What other people wrote changes only on purpose: `static/vendor/vendor.lock` has the SHA-256 of each file."""

import re
from hashlib import sha256
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "static"
VENDOR = STATIC / "vendor"
LOCK = {
    name: digest
    for digest, _space, name in (line.partition("  ") for line in (VENDOR / "vendor.lock").read_text().splitlines())
}
FILES = sorted(path.relative_to(VENDOR).as_posix() for path in VENDOR.glob("*/*"))


def test_every_file_is_in_the_lock():
    assert sorted(LOCK) == FILES


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_the_one_that_was_looked_at(name):
    assert sha256((VENDOR / name).read_bytes()).hexdigest() == LOCK[name]


@pytest.mark.parametrize("folder", sorted(path.name for path in VENDOR.iterdir() if path.is_dir()))
def test_a_package_is_named_with_its_version_and_has_its_licence(folder):
    assert re.fullmatch(r"[a-z-]+-\d+\.\d+\.\d+", folder)
    assert (VENDOR / folder / "LICENSE").stat().st_size > 100


def test_the_stylesheet_loads_nothing_from_outside():
    urls = re.findall(r"url\(\"?([^\")]+)", (STATIC / "console.css").read_text())
    assert [url for url in urls if not (STATIC / url).is_file()] == []


@pytest.mark.parametrize("path", sorted([*STATIC.glob("controllers/*.js"), *STATIC.glob("*.js")]), ids=lambda p: p.name)
def test_a_script_imports_only_what_is_here(path):
    names = re.findall(r'(?:from |import\(|import )"([^"]+)"', path.read_text())
    assert [name for name in names if not (path.parent / name).is_file()] == []


def test_the_scripts_stay_small():
    scripts = [*STATIC.glob("controllers/*.js"), *STATIC.glob("*.js")]
    assert sum(len(path.read_text().splitlines()) for path in scripts) <= 1600
