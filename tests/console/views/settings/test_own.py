"""The tabs of the settings that are filled in: defaults, appearance, keys."""

import re

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from console.templatetags.console import ago
from jobs.models import AccountPreference, TuningDraft
from jobs.services.accounts import preferences
from jobs.services.chat import conversations
from tests.support import factories
from tests.support.markup import tight

pytestmark = pytest.mark.django_db
LOOKS = {"theme": "dark", "density": "compact", "reduces_motion": "on", "time_zone": "Asia/Seoul", "language": ""}


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def html_tag(response):
    return tight(re.search(r"<html[^>]*>", response.content.decode())[0])


def test_nothing_chosen_leaves_the_page_plain(visitor):
    assert html_tag(visitor.get("/settings/appearance/")) == '<html lang="en">'


def test_what_is_chosen_is_on_every_page(visitor):
    assert visitor.post("/settings/appearance/", LOOKS).status_code == 303
    tag = html_tag(visitor.get("/tuning/"))
    assert tag == '<html lang="en" data-theme="dark" data-density="compact" data-motion="reduced">'


def test_the_choice_is_there_on_another_machine(client, visitor):
    visitor.post("/settings/appearance/", LOOKS)
    client.cookies.clear()
    client.force_login(User.objects.get(username="owner"))
    assert 'data-theme="dark"' in html_tag(client.get("/"))


def test_the_sign_in_page_has_the_theme_of_the_browser(client, visitor):
    visitor.post("/settings/appearance/", LOOKS)
    client.post("/accounts/sign-out/")
    assert 'data-theme="dark"' in html_tag(client.get("/accounts/sign-in/"))


def test_the_account_menu_and_the_settings_are_one_choice(visitor):
    visitor.post("/settings/appearance/", LOOKS)
    visitor.post("/preferences/", {"theme": "system"})
    assert "data-theme" not in html_tag(visitor.get("/"))
    assert visitor.get("/settings/appearance/").context["form"]["theme"].value() == "system"


def test_the_language_of_the_account_goes_before_the_browsers(visitor):
    preferences.save(User.objects.get(username="owner"), language="ko")
    assert 'lang="ko"' in html_tag(visitor.get("/", HTTP_ACCEPT_LANGUAGE="en"))


def test_exact_times_are_of_the_chosen_zone(visitor):
    visitor.post("/settings/appearance/", LOOKS)
    factories.job(created_at=factories.NOW)
    assert "21:00:00" in visitor.get("/tuning/").content.decode()
    assert "12:00:00" in ago(factories.NOW)
    assert timezone.get_current_timezone_name() == "UTC"


@pytest.mark.parametrize("zone", ["Mars/Base", "../../etc/passwd", "\x00"])
def test_a_zone_that_is_none_is_refused_and_does_no_harm(visitor, owner, zone):
    assert visitor.post("/settings/appearance/", {**LOOKS, "time_zone": zone}).status_code == 422
    AccountPreference.objects.create(user=owner, time_zone=zone.replace("\x00", "x"))
    assert visitor.get("/").status_code == 200


def test_single_keys_are_switched_off_and_on(visitor):
    visitor.post("/settings/keys/", {})
    page = visitor.get("/settings/keys/")
    assert ('data-keys="off"' in html_tag(page), "Keyboard shortcuts are turned off." in page.content.decode()) == (
        True,
        True,
    )
    visitor.post("/settings/keys/", {"single_keys": "on"})
    assert "data-keys" not in html_tag(visitor.get("/"))


def test_enter_makes_a_line_where_that_is_chosen(visitor):
    visitor.post("/settings/keys/", {"single_keys": "on"})
    page = visitor.get("/settings/keys/")
    assert ('data-enter="line"' in html_tag(page), "as ⌘+Enter does" in page.content.decode()) == (True, True)
    visitor.post("/settings/keys/", {"enter_sends": "on"})
    assert "data-enter" not in html_tag(visitor.get("/"))


DEFAULTS = {"output_prefix": "gs://mine/models/", "machine_type": "local-cpu", "temperature": "0.3", "max_tokens": "64"}


def test_defaults_are_kept_and_shown(visitor, owner):
    factories.publisher_model()
    assert visitor.post("/settings/defaults/", DEFAULTS).status_code == 303
    assert preferences.of(owner).defaults == {
        "output_prefix": "gs://mine/models", "machine_type": "local-cpu",
        "chat": {"temperature": 0.3, "max_tokens": 64},
    }  # fmt: skip
    form = visitor.get("/settings/defaults/").context["form"]
    assert (form["output_prefix"].value(), form["temperature"].value()) == ("gs://mine/models", 0.3)


@pytest.mark.parametrize(("field", "value"), [("output_prefix", "/tmp"), ("temperature", "9"), ("machine_type", "x")])
def test_a_default_that_no_form_would_take_is_refused(visitor, field, value):
    answer = visitor.post("/settings/defaults/", {field: value})
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, [field])


def test_a_new_tuned_model_is_proposed_the_folder(visitor, owner):
    preferences.save_defaults(owner, output_prefix="gs://mine/models")
    factories.publisher_model()
    steps = {"name": {"display_name": "Captain", "sent": True}}
    steps["base-model"] = {"base_model": factories.BASE_MODEL, "sent": True}
    draft = factories.draft(data=steps)
    text = visitor.get(f"/tuning/drafts/{draft.pk}/output/").content.decode()
    assert f"gs://mine/models/captain-{draft.pk.hex[:6]}" in text
    assert TuningDraft.objects.count() == 1


def test_a_new_chat_begins_with_the_defaults(owner):
    preferences.save_defaults(owner, chat={"temperature": 0.3, "system_instruction": "Be brief."})
    talk = conversations.start(owner, endpoint=factories.ready_endpoint())
    assert (talk.system_instruction, talk.parameters) == ("Be brief.", {"temperature": 0.3})


def test_a_new_chat_without_defaults_leaves_all_to_the_server(owner):
    talk = conversations.start(owner, endpoint=factories.ready_endpoint())
    assert (talk.system_instruction, talk.parameters) == ("", {})


@pytest.mark.parametrize(("machine", "proposed"), [("n2-standard-8", "n2-standard-8"), ("x", "g2"), ("", "g2")])
def test_a_machine_is_proposed_only_where_it_is_offered(machine, proposed):
    from console.presenters.tuning.wizard.proposals import suggest_machine

    offered = [{"machine_type": "g2"}, {"machine_type": "n2-standard-8"}]
    assert (suggest_machine(offered, machine), suggest_machine([], machine)) == (proposed, "")


@pytest.mark.parametrize(
    "tab", ["", "connection/", "defaults/", "appearance/", "notifications/", "security/", "keys/", "about/"]
)
def test_each_tab_marks_itself(visitor, tab):
    text = visitor.get(f"/settings/{tab}").content.decode()
    assert f'<a href="/settings/{tab}" aria-current="page">' in text


@pytest.mark.parametrize("tab", ["defaults", "appearance", "keys", "security"])
def test_a_tab_takes_few_queries(visitor, django_assert_max_num_queries, tab):
    with django_assert_max_num_queries(4):
        visitor.get(f"/settings/{tab}/")
