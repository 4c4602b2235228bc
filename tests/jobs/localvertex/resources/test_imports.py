"""Who may import, by the key that this server and the console share."""

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


def test_its_paths_are_its_own():
    assert [imports.is_asked(path) for path in (imports.PREFIX, "/v1/projects/p", "/localvertex")] == [
        True, False, False,
    ]  # fmt: skip
