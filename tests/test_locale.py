"""The compiled translations are committed: they must say what their sources say."""

import gettext
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "locale").glob("*/LC_MESSAGES/*.po"))


def catalogue(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        found = dict(gettext.GNUTranslations(file)._catalog)  # type: ignore[attr-defined]
    found.pop("", None)
    return found


@pytest.mark.skipif(shutil.which("msgfmt") is None, reason="needs GNU gettext")
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.parent.parent.name)
def test_a_compiled_catalogue_is_current(source, tmp_path):
    fresh = tmp_path / "fresh.mo"
    subprocess.run(["msgfmt", "--check-format", "-o", str(fresh), str(source)], check=True, capture_output=True)
    assert catalogue(source.with_suffix(".mo")) == catalogue(fresh)
