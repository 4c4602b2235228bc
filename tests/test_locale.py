"""The compiled translations are committed: they must say what their sources say, and everything that the code says."""

import gettext
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.core.management import call_command
from django.urls import reverse

from tests.support import factories

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "locale").glob("*/LC_MESSAGES/*.po"))
TRANSLATED = ("console", "jobs", "templates", "locale")
WARNINGS = "makemessages.txt"
PLACE = re.compile(r"%(?:\(\w+\))?[\d.]*[a-z%]|</?\w[^>]*>|\{\w*\}")

each_language = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.parent.parent.name)
needs_gettext = pytest.mark.skipif(shutil.which("msgfmt") is None, reason="needs GNU gettext")


def catalogue(path: Path) -> dict[str | tuple[str, int], str]:
    """By text, or by text and plural form."""
    with path.open("rb") as file:
        found = dict(gettext.GNUTranslations(file)._catalog)  # type: ignore[attr-defined]
    found.pop("", None)
    return found


def places(text: str) -> list[str]:
    return sorted(PLACE.findall(text))


def left_out(source: Path, *which: str) -> list[str]:
    command = ["msgattrib", "--no-obsolete", "--no-wrap", *which, str(source)]
    found = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
    return re.findall(r'^msgid "(.+)"$', found, re.M)


@pytest.fixture
def extracted(tmp_path, settings, monkeypatch):
    """A copy of the catalogues with every text that is in the code now; what has no translation there is empty."""
    for name in TRANSLATED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    settings.LOCALE_PATHS = [tmp_path / "locale"]
    monkeypatch.chdir(tmp_path)
    with (tmp_path / WARNINGS).open("w") as said:
        call_command("makemessages", all=True, no_location=True, verbosity=1, stdout=said)
    return tmp_path


@needs_gettext
@each_language
def test_every_text_of_the_code_is_translated(source, extracted):
    copy = extracted / source.relative_to(ROOT)
    assert {which: left_out(copy, which) for which in ("--untranslated", "--only-fuzzy")} == {
        "--untranslated": [],
        "--only-fuzzy": [],
    }, "run `make messages`, then translate these"


@needs_gettext
def test_no_text_is_used_both_with_a_plural_and_without_one(extracted):
    said = (extracted / WARNINGS).read_text().splitlines()
    assert [line for line in said if "plural" in line] == []


@needs_gettext
@each_language
def test_a_compiled_catalogue_is_current(source, tmp_path):
    fresh = tmp_path / "fresh.mo"
    subprocess.run(["msgfmt", "--check-format", "-o", str(fresh), str(source)], check=True, capture_output=True)
    assert catalogue(source.with_suffix(".mo")) == catalogue(fresh)


@each_language
def test_a_translation_keeps_the_places_of_its_text(source):
    singular = {said: meant for said, meant in catalogue(source.with_suffix(".mo")).items() if isinstance(said, str)}
    assert {said: meant for said, meant in singular.items() if places(said) != places(meant)} == {}


@each_language
def test_a_plural_loses_no_place(source):
    plural = {said: meant for said, meant in catalogue(source.with_suffix(".mo")).items() if not isinstance(said, str)}
    assert {said: meant for said, meant in plural.items() if not set(places(said[0])) <= set(places(meant))} == {}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("page", "words"),
    [("sign-in", "로그인"), ("tuning-list", "튜닝된 모델 만들기"), ("dataset-list", "데이터 세트 업로드")],
)
def test_a_page_speaks_korean_to_a_korean_browser(client, page, words):
    if page != "sign-in":
        client.force_login(factories.owner())
    text = client.get(reverse(page), headers={"accept-language": "ko"}).content.decode()
    assert ('<html lang="ko"' in text, words in text) == (True, True)
