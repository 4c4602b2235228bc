"""Who may import, by the key that this server and the console share."""

import os

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.resources import imports

KEY = "a key of sixteen or more"


def refusal(given: str, key: str) -> str:
    with pytest.raises(ApiError) as found:
        imports.check_key(given, key)
    return f"{found.value.status}: {found.value.message}"


def test_the_key_opens():
    assert imports.check_key(f"Bearer {KEY}", KEY) is None


@pytest.mark.parametrize("given", ["", KEY, "Bearer ", f"Bearer {KEY}x", "Bearer é"])
def test_any_other_is_refused(given):
    assert refusal(given, KEY).startswith("PERMISSION_DENIED: Imports need the key")


@pytest.mark.parametrize("key", ["", "short"])
def test_a_server_without_a_key_imports_nothing(key):
    assert "was started without LOCALVERTEX_IMPORT_KEY" in refusal(f"Bearer {key}", key)


def test_no_program_that_the_server_starts_has_the_key(own_server, tmp_path, monkeypatch):
    """The first of them is the driver's, which is asked for GPUs."""
    seen, driver = tmp_path / "environment", tmp_path / "nvidia-smi"
    driver.write_text(f"#!/bin/sh\nenv >> '{seen}'\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv(imports.KEY_VARIABLE, KEY)
    own_server.start()
    found = seen.read_text()
    assert ("PATH=" in found, KEY in found) == (True, False)


def test_its_paths_are_its_own():
    assert [imports.is_asked(path) for path in (imports.PREFIX, "/v1/projects/p", "/localvertex")] == [
        True, False, False,
    ]  # fmt: skip
