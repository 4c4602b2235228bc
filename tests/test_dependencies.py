"""Whatever is installed or copied from elsewhere has its reason and its licence written down."""

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENTS = [
    *PROJECT["dependencies"],
    *(
        one
        for extra in PROJECT["optional-dependencies"].values()
        for one in extra
        if not one.startswith(f"{PROJECT['name']}[")
    ),
]
PACKAGE = json.loads((ROOT / "package.json").read_text())
INSTALLED = {re.split(r"[\[<>=~ ]", one)[0] for one in REQUIREMENTS}
OF_NPM = set(PACKAGE["devDependencies"])
COPIED = {folder.name.rpartition("-")[0].replace("-", " ") for folder in (ROOT / "static/vendor").glob("*-*")}


def words(file: str) -> str:
    return (ROOT / file).read_text().lower()


@pytest.mark.parametrize("file", ["docs/dependencies.md", "THIRD_PARTY_NOTICES.md"])
def test_each_package_is_named(file):
    text = words(file)
    named = text + text.replace("-", " ")
    assert [name for name in sorted(INSTALLED | OF_NPM | COPIED) if name.lower() not in named] == []


def test_npm_brings_nothing_that_runs_in_the_console():
    assert set(PACKAGE) & {"dependencies", "optionalDependencies", "peerDependencies", "bundleDependencies"} == set()


def test_what_is_not_pinned_is_known():
    assert [one for one in REQUIREMENTS if "==" not in one] == ["Django>=5.2.19,<5.3", "torch>=2.9"]
    assert {name: version for name, version in PACKAGE["devDependencies"].items() if not version[0].isdigit()} == {}
