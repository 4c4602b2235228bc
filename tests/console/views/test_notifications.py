"""The bell, the list behind it, and what is marked as read."""

import json
import re
from datetime import timedelta
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.utils import timezone

from jobs.models import Delivery, Notification
from tests.support import factories
from tests.support.markup import tight

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}
BUTTON = re.compile(r'<button[^>]*id="bell-button".*?</button>', re.S)


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def bell(page):
    return BUTTON.search(page.content.decode())[0]


def text(response):
    return response.content.decode()


def latest(visitor, since, **headers):
    return visitor.get(f"/notifications/latest/?{urlencode({'since': since})}", **HTMX, **headers)


def spoken(response):
    return json.loads(response.headers.get("HX-Trigger", "{}")).get("snackbar")


def test_the_bell_is_silent_at_first(visitor):
    shown = bell(visitor.get("/"))
    assert ('aria-label="Notifications"' in shown, "count" in shown, " runs" in shown) == (True, False, False)


@pytest.mark.parametrize(("unread", "shown"), [(1, ">1<"), (3, ">3<"), (120, ">99+<")])
def test_the_bell_counts_what_is_unread(visitor, owner, unread, shown):
    same = {"owner": owner, "kind": "test", "subject": "test", "end": "TEST"}
    Notification.objects.bulk_create(Notification(subject_id=uuid4(), **same) for _ in range(unread))
    assert shown in bell(visitor.get("/"))


def test_the_bell_turns_while_a_job_runs(visitor):
    factories.job(state="RUNNING")
    assert 'class="ib bell runs"' in bell(visitor.get("/"))


def test_who_has_not_signed_in_has_no_bell(client, db):
    assert "bell-button" not in text(client.get("/accounts/sign-in/"))


def test_the_popover_lists_the_latest_and_what_runs(visitor):
    for number in range(10):
        factories.notification(facts={"name": f"Model {number}"})
    factories.job(display_name="Under way", state="RUNNING", step=2, total_steps=4)
    factories.endpoint(display_name="Being deployed")
    factories.deployed_model(endpoint=factories.ready_endpoint(), display_name="Being added", state="DEPLOYING")
    shown = text(latest(visitor, ""))
    assert "Being added" in shown
    assert [f"Model {number}" in shown for number in (0, 1, 2, 9)] == [False, False, True, True]
    assert ("Under way" in shown, "Being deployed" in shown, "hx-partial" in shown) == (True, True, True)


def test_nothing_to_tell(visitor):
    assert "You're up to date" in text(latest(visitor, ""))
    assert "You're up to date" in text(visitor.get("/notifications/"))


def test_what_is_new_is_said_once(visitor):
    before = timezone.now().isoformat()
    made = factories.notification()
    first = latest(visitor, before)
    assert spoken(first) == {"text": "Tuning My model succeeded", "url": f"/notifications/{made.pk}/", "label": "View"}
    [since] = re.findall(r'id="bell-since" name="since" value="([^"]+)"', text(first))
    assert spoken(latest(visitor, since)) is None


def test_several_at_once_are_counted(visitor):
    before = timezone.now().isoformat()
    for _ in range(2):
        factories.notification()
    assert spoken(latest(visitor, before))["text"] == "2 new notifications"


def test_what_the_page_itself_says_is_not_said_again(visitor):
    before = timezone.now().isoformat()
    made = factories.notification()
    page = f"http://testserver/tuning/jobs/{made.subject_id}/"
    assert spoken(latest(visitor, before, HTTP_HX_CURRENT_URL=page)) is None


def test_what_is_read_already_is_not_said(visitor):
    before = timezone.now().isoformat()
    factories.notification(read_at=timezone.now())
    assert spoken(latest(visitor, before)) is None


@pytest.mark.parametrize("since", ["", "nonsense", "2026-11-24T12:00:00", "9999-12-31T23:59:59-23:59", "\x00"])
def test_a_moment_that_is_none_says_nothing(visitor, since):
    factories.notification()
    assert (latest(visitor, since).status_code, spoken(latest(visitor, since))) == (200, None)


def test_the_list_tells_why_and_what_became_of_it(visitor):
    made = factories.notification(kind="tuning.failed", facts={"name": "My model", "reason": "Out of memory."})
    Delivery.objects.create(notification=made, way="email", state="DELIVERED", tries=1, ended_at=timezone.now())
    Delivery.objects.create(notification=made, way="webhook", tries=2, problem="answer", detail="500")
    shown = tight(text(visitor.get("/notifications/")))
    problem = "The receiver answered with status 500."
    for wanted in ("Tuning My model failed", "Out of memory.", "Email: delivered", problem):
        assert wanted in shown


def test_a_name_is_no_markup(visitor):
    factories.notification(facts={"name": "<b>x</b>"})
    assert "<b>x</b>" not in text(visitor.get("/notifications/"))


def test_the_list_is_filtered(visitor):
    factories.notification(facts={"name": "Unread job"})
    factories.notification(facts={"name": "Read job"}, read_at=timezone.now())
    factories.notification(kind="endpoint.ready", subject="endpoint", facts={"name": "Base"})

    def found(query):
        shown = text(visitor.get(f"/notifications/{query}", **HTMX))
        return [name for name in ("Unread job", "Read job", "Base") if name in shown]

    assert found("") == found("?about=nonsense") == ["Unread job", "Read job", "Base"]
    assert found("?unread=1") == ["Unread job", "Base"]
    assert found("?about=tuning_job") == ["Unread job", "Read job"]
    assert found("?about=tuning_job&unread=1") == ["Unread job"]
    assert found("?about=dataset") == []


def test_nothing_found_leads_back(visitor):
    factories.notification()
    assert "No notifications match the filter." in text(visitor.get("/notifications/?about=dataset"))


def test_the_list_is_paged_by_key(visitor):
    for number in range(51):
        created_at = factories.NOW + timedelta(minutes=number)
        factories.notification(created_at=created_at, facts={"name": f"Model {number:02}"})
    first = visitor.get("/notifications/")
    assert ("Model 50" in text(first), "Model 00" in text(first)) == (True, False)
    second = visitor.get(f"/notifications/{first.context['page'].next_url}")
    assert ("Model 01" in text(second), "Model 00" in text(second), "First page" in text(second)) == (False, True, True)


@pytest.mark.parametrize(
    ("subject", "leads_to"),
    [("tuning_job", "/tuning/jobs/{}/"), ("endpoint", "/endpoints/{}/"), ("dataset", "/datasets/{}/"),
     ("test", "/settings/notifications/")],
)  # fmt: skip
def test_following_it_leads_to_the_thing_and_marks_it_as_read(visitor, subject, leads_to):
    made = factories.notification(subject=subject)
    url = f"/notifications/{made.pk}/"
    assert visitor.head(url).status_code == 302
    assert Notification.objects.unread().count() == 1
    assert visitor.get(url)["Location"] == leads_to.format(made.subject_id)
    assert Notification.objects.unread().count() == 0


def test_one_is_marked_as_read(visitor):
    made, other = factories.notification(), factories.notification()
    answer = visitor.post(f"/notifications/{made.pk}/read/", {"next": "/notifications/?unread=1"})
    assert (answer.status_code, answer["Location"]) == (303, "/notifications/?unread=1")
    assert list(Notification.objects.unread()) == [other]


def test_all_that_were_shown_are_marked_as_read(visitor):
    factories.notification()
    until = visitor.get("/notifications/").context["until"]
    later = factories.notification()
    assert visitor.post("/notifications/read/", {"until": until}).status_code == 303
    assert list(Notification.objects.unread()) == [later]


def test_the_page_fetches_itself_after_a_change(visitor):
    made = factories.notification()
    answer = visitor.post(f"/notifications/{made.pk}/read/", **HTMX)
    assert (answer.status_code, answer["HX-Trigger"]) == (204, "notifications")


def test_what_was_given_up_is_tried_again(visitor):
    made = Delivery.objects.create(notification=factories.notification(), way="webhook", state="FAILED", tries=8)
    assert "failed after 8 attempts" in text(visitor.get("/notifications/"))
    visitor.post(f"/notifications/deliveries/{made.pk}/again/")
    made.refresh_from_db()
    assert (made.state, made.tries) == ("WAITING", 0)
    assert visitor.post(f"/notifications/deliveries/{made.pk}/again/").status_code == 409


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_takes_the_same_queries_for_one_row_and_for_three(visitor, django_assert_num_queries, rows):
    for _ in range(rows):
        Delivery.objects.create(notification=factories.notification(), way="email")
    with django_assert_num_queries(5):
        visitor.get("/notifications/")


@pytest.mark.parametrize("rows", [1, 3])
def test_the_popover_takes_the_same_queries_for_one_row_and_for_three(visitor, django_assert_num_queries, rows):
    for _ in range(rows):
        factories.notification()
        factories.job(state="RUNNING")
    with django_assert_num_queries(8):
        latest(visitor, "")


def test_what_is_new_is_there_for_the_browser_to_show_once(visitor, owner):
    factories.notification(facts={"name": "Old"})
    since = timezone.now().isoformat()
    fresh = factories.notification(facts={"name": "<b>New</b>"})
    shown = text(latest(visitor, since))
    assert re.findall(r'id="desktop-([0-9a-f-]+)"', shown) == [str(fresh.pk)]
    assert 'data-desktop-title-value="Tuning &lt;b&gt;New&lt;/b&gt; succeeded"' in shown
    assert "desktop-" not in text(latest(visitor, timezone.now().isoformat()))
