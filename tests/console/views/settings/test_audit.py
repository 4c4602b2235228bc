"""The page of the audit log, its filters, and what is taken away from it."""

import csv
import io
import json
import re
import tracemalloc
from datetime import UTC, datetime
from html import unescape

import pytest

from jobs.models import AuditEntry
from jobs.services import audit
from tests.support import factories

pytestmark = pytest.mark.django_db
URL = "/settings/audit/"


@pytest.fixture
def administrator(client, owner):
    owner.is_superuser = True
    owner.save()
    client.force_login(owner)
    return client


def entry(actor, action="endpoint.deploy", about=None, **values):
    audit.record(action, about, actor=actor, **values)
    return AuditEntry.objects.order_by("-number").first()


def numbers(response):
    return [int(number) for number in re.findall(r'id="entry-(\d+)"', response.content.decode())]


def words(response):
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode())))


def test_administrators_see_all_and_others_their_own(client, administrator, owner, team_mate):
    made = [entry(team_mate), entry(owner)]
    assert numbers(administrator.get(URL))[:2] == [made[1].number, made[0].number]
    client.force_login(team_mate)
    mine = numbers(client.get(URL))
    assert set(mine) == set(AuditEntry.objects.filter(user_id=team_mate.pk).values_list("number", flat=True))
    assert made[1].number not in mine


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_nobody_takes_away_what_others_did(client, owner, team_mate, form):
    entry(owner, about=audit.Subject("endpoint", "1", "Secret endpoint"))
    client.force_login(team_mate)
    text = b"".join(client.get(f"{URL}export.{form}?person=owner"))
    assert b"Secret endpoint" not in text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("person=team-mate", [1]),
        ("action=dataset", [2]),
        ("about=Captain", [2]),
        ("about=4711", [1]),
        ("outcome=refused", [3]),
        ("since=2026-11-24&until=2026-11-24", [1]),
        ("since=2026-11-25", [3, 2]),
        ("person=nobody", []),
        ("until=2001-01-01", []),
    ],
)
def test_the_filters_find(administrator, owner, team_mate, query, expected):
    AuditEntry.objects.all()._raw_delete("default")
    first = entry(team_mate, about=audit.Subject("endpoint", "4711"))
    entry(owner, "dataset.delete", audit.Subject("dataset", "4712", "Captain's rows"))
    entry(owner, "tuning_job.cancel", outcome="refused", reason="not_allowed_now")
    AuditEntry.objects.filter(number=first.number).update(created_at=datetime(2026, 11, 24, 12, tzinfo=UTC))
    AuditEntry.objects.filter(number=2).update(created_at=datetime(2026, 11, 25, 12, tzinfo=UTC))
    AuditEntry.objects.filter(number=3).update(created_at=datetime(2026, 11, 25, 13, tzinfo=UTC))
    assert numbers(administrator.get(f"{URL}?{query}")) == expected


@pytest.mark.parametrize(
    "query",
    ["since=x", "since=9999-99-99", "until=9999-12-31", "until=0001-01-01", "outcome=x", "action=%00", "about=%00"],
)
def test_a_wrong_filter_is_said_beside_its_field(administrator, query):
    assert administrator.get(f"{URL}?{query}").status_code == 200


def test_a_long_log_comes_in_pages(administrator, owner):
    for _number in range(60):
        entry(owner)
    first = administrator.get(f"{URL}?person=owner")
    link = unescape(re.search(r'href="(\?[^"]+)" rel="next"', first.content.decode())[1])
    second = administrator.get(f"{URL}{link}")
    both = numbers(first) + numbers(second)
    assert (len(numbers(first)), both) == (50, list(range(len(both), 0, -1)))


def test_what_is_there_is_a_link_and_what_is_gone_is_not(administrator, owner):
    job, gone = factories.job(owner=owner), factories.job(owner=owner, display_name="Gone")
    entry(owner, about=job)
    entry(owner, about=gone)
    gone.delete()
    page = administrator.get(URL).content.decode()
    assert (f'href="/tuning/jobs/{job.pk}/">My model</a>' in page, f"/tuning/jobs/{gone.pk}/" in page) == (True, False)
    assert "Gone" in page


def test_what_belongs_to_others_is_no_link(administrator, owner, team_mate):
    job = factories.job(owner=team_mate)
    entry(team_mate, about=job)
    assert f"/tuning/jobs/{job.pk}/" not in administrator.get(URL).content.decode()


def test_a_person_who_is_called_system_is_a_person(administrator):
    other = factories.user(username="system")
    AuditEntry.objects.all()._raw_delete("default")
    entry(other)
    AuditEntry.objects.update(request_id="abcd")
    assert '<span class="muted">The console</span>' not in words(administrator.get(URL))


def test_names_are_text(administrator, owner):
    entry(owner, about=audit.Subject("endpoint", "<i id=x>", "<b hx-post=/x>"))
    page = administrator.get(URL).content.decode()
    assert ("<b hx-post" in page, "&lt;b hx-post=/x&gt;" in page) == (False, True)


def test_an_empty_log_says_so(client, team_mate):
    client.force_login(team_mate)
    AuditEntry.objects.all()._raw_delete("default")
    assert "No entries yet" in words(client.get(URL))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_a_name_is_no_formula_in_a_spreadsheet(administrator, owner, start):
    entry(owner, about=audit.Subject("endpoint", "1", f"{start}1+1"))
    text = b"".join(administrator.get(f"{URL}export.csv")).decode("utf-8-sig")
    assert next(csv.DictReader(io.StringIO(text)))["object_name"] == f"'{start}1+1"


def test_the_filter_holds_for_what_is_taken_away(administrator, owner, team_mate):
    entry(team_mate, facts={"share": 10})
    entry(owner)
    rows = [
        json.loads(line) for line in b"".join(administrator.get(f"{URL}export.jsonl?person=team-mate")).splitlines()
    ]
    assert [(row["actor"], row["facts"], len(row["hash"])) for row in rows] == [("team-mate", {"share": 10}, 64)]


def test_another_form_is_not_there(administrator):
    assert administrator.get(f"{URL}export.pdf").status_code == 404


@pytest.mark.slow
def test_a_large_log_is_taken_away_in_little_memory(administrator, owner):
    rows = [
        AuditEntry(number=number, actor="owner", action="x" * 60, outcome="ok", hash="0" * 64)
        for number in range(10, 20_010)
    ]
    AuditEntry.objects.bulk_create(rows, batch_size=1000)
    del rows
    response = administrator.get(f"{URL}export.jsonl")
    tracemalloc.start()
    size = sum(len(part) for part in response)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (size > 5_000_000, peak < 3_000_000) == (True, True)


def test_the_number_of_queries_does_not_grow(administrator, owner, django_assert_max_num_queries):
    for number in range(40):
        entry(owner, about=factories.job(owner=owner, display_name=f"Job {number}"))
    with django_assert_max_num_queries(8):
        administrator.get(URL)
