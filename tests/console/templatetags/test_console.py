from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import override

from console.templatetags import console

NOW = datetime(2026, 3, 31, 14, 30, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age", "told"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=60), "1\xa0minute ago"),
        (timedelta(minutes=59, seconds=59), "59\xa0minutes ago"),
        (timedelta(minutes=60), "1\xa0hour ago"),
        (timedelta(hours=23, minutes=59), "23\xa0hours ago"),
        (timedelta(hours=24), "1\xa0day ago"),
        (timedelta(days=6, hours=23), "6\xa0days ago"),
        (timedelta(days=20), "2\xa0weeks ago"),
        (timedelta(days=31), "1\xa0month ago"),
        (timedelta(days=365), "1\xa0year ago"),
    ],
)
def test_an_age_is_told_in_its_largest_whole_unit(age: timedelta, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    assert console.relative(NOW - age) == told


@pytest.mark.parametrize(
    ("now", "moment", "told"),
    [
        ("2021-12-31T05:29", "2021-04-30T10:10", "8\xa0months ago"),
        ("2020-02-29T09:36", "2019-02-28T13:21", "1\xa0year ago"),
        ("2021-05-30T10:00", "2021-04-30T10:00", "1\xa0month ago"),
        ("2021-05-30T10:00", "2021-04-30T10:01", "4\xa0weeks ago"),
    ],
)
def test_months_are_told_as_the_calendar_has_them(
    now: str, moment: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timezone, "now", lambda: datetime.fromisoformat(f"{now}+00:00"))
    assert console.relative(datetime.fromisoformat(f"{moment}+00:00")) == told


def test_an_age_is_told_in_the_language_of_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    seen = []
    for language in ("en", "ko", "en"):
        with override(language):
            seen.append(console.relative(NOW - timedelta(hours=3)))
    assert seen == ["3\xa0hours ago", "3시간 전", "3\xa0hours ago"]


def test_markup_that_the_console_wrote_does_not_let_the_same_text_of_a_person_through() -> None:
    written, typed = console.status("READY", SafeString("<b>on</b>")), console.status("READY", "<b>on</b>")
    assert ("<b>on</b>" in written, "&lt;b&gt;on&lt;/b&gt;" in typed, "<b>" in typed) == (True, True, False)
