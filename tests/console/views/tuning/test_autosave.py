"""What is typed into a step is kept field by field, and two pages of one draft do not undo each other."""

import json
import re
from html import unescape

import pytest
from django.utils import timezone
from django.utils.html import strip_tags

from console.forms.tuning.steps import STEPS
from jobs.models import AuditEntry, TuningDraft
from tests.console.test_no_500 import all_steps
from tests.support import factories
from tests.support.form_page import FormPage

pytestmark = pytest.mark.django_db


@pytest.fixture
def visitor(client, owner, settings):
    settings.VERTEX_API_ENDPOINT = ""
    factories.publisher_model()
    client.force_login(owner)
    return client


@pytest.fixture
def draft(visitor):
    return factories.draft(data=all_steps())


class Page:
    """One tab with one step, whose script keeps what is typed."""

    def __init__(self, client, draft, step):
        self.client, self.url = client, f"/tuning/drafts/{draft.pk}/{step}/"
        self.text = client.get(self.url).content.decode()
        self.values = FormPage(self.text, "step-form").values

    def type(self, **values):
        self.values |= values
        return self

    def untick(self, name):
        del self.values[name]
        return self

    def keep(self):
        """Sends what is there, and hears how it stands."""
        answer = self.send_late()
        text = answer.content.decode()
        self.values["known"] = unescape(re.findall(r'name="known" value="([^"]*)"', text)[0])
        self.values["undecided"] = re.findall(r'name="undecided" value="([^"]*)"', text)
        return " ".join(strip_tags(text).split())

    def send_late(self):
        """Nobody waits for the answer."""
        return self.client.post(f"{self.url}keep/", self.values)

    def go_on(self, **more):
        return self.client.post(self.url, self.values | more)


def read_step(draft, step):
    draft.refresh_from_db()
    return draft.data[step]


def field_value(client, draft, step, name):
    return Page(client, draft, step).values.get(name)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("is_sent", [True, False])
def test_a_page_knows_what_it_shows(visitor, draft, step, is_sent):
    """Else it would take what nobody typed for a change."""
    if not is_sent:
        draft.data.pop(step, None)
        draft.save()
    before = dict(draft.data)
    page = Page(visitor, draft, step)
    if page.values:
        assert page.keep() == "Saved"
        draft.refresh_from_db()
        assert draft.data == before


TYPED = {
    "name": {"display_name": "Captain Hook", "description": "Two\r\nlines", "labels": "team=x"},
    "base-model": {"location": "europe-west4"},
    "output": {"output_uri": "gs://bucket/els"},
    "training": {"epochs": "7", "learning_rate": "0.00", "batch_size": "12", "tuning_mode": "PEFT_ADAPTER"},
    "deployment": {"endpoint_display_name": "Hoo"},
}


@pytest.mark.parametrize("step", STEPS)
def test_each_field_of_each_step_is_there_again_on_another_device(visitor, draft, step):
    assert Page(visitor, draft, step).type(**TYPED[step]).keep() == "Saved"
    again = Page(visitor, draft, step)
    assert {name: again.values[name] for name in TYPED[step]} == TYPED[step]


def test_a_box_that_was_unticked_stays_so(visitor, draft):
    Page(visitor, draft, "deployment").untick("auto_deploy").keep()
    assert "auto_deploy" not in Page(visitor, draft, "deployment").values


def test_what_is_wrong_is_kept_and_shown_with_its_error_and_nothing_else_is_judged(visitor, draft):
    draft.data.pop("training")
    draft.save()
    assert Page(visitor, draft, "training").type(epochs="many").keep() == "Saved"
    again = Page(visitor, draft, "training")
    assert again.values["epochs"] == "many"
    assert again.text.count('id="id_epochs_error"') == 1
    assert "Choose a training dataset" not in again.text
    assert again.type(batch_size="4").keep() == "Saved"
    assert read_step(draft, "training")["batch_size"] == "4"


def test_a_step_that_is_only_typed_is_not_done(visitor, draft):
    draft.data.pop("training")
    draft.save()
    Page(visitor, draft, "training").type(dataset=str(factories.dataset().pk), epochs="3").keep()
    assert visitor.get(f"/tuning/drafts/{draft.pk}/deployment/").url == f"/tuning/drafts/{draft.pk}/training/"


def test_fields_that_two_pages_change_are_merged(visitor, draft):
    laptop, phone = Page(visitor, draft, "training"), Page(visitor, draft, "training")
    laptop.type(epochs="5").keep()
    assert phone.type(learning_rate="0.01").keep() == "Saved"
    kept = read_step(draft, "training")
    assert (kept["epochs"], kept["learning_rate"]) == ("5", "0.01")
    assert phone.go_on().status_code == 303
    kept = read_step(draft, "training")
    assert (kept["epochs"], kept["learning_rate"], kept["sent"]) == ("5", "0.01", True)


def test_a_field_that_two_pages_change_waits_for_a_choice(visitor, draft):
    laptop, phone = Page(visitor, draft, "training"), Page(visitor, draft, "training")
    laptop.type(epochs="5").keep()
    told = phone.type(epochs="7", batch_size="4").keep()
    assert "Number of epochs was changed on another page There: 5. Here: 7." in told
    assert told.endswith("Saved, except for what was changed on another page.")
    assert (read_step(draft, "training")["epochs"], draft.data["training"]["batch_size"]) == ("5", "4")
    assert "There: 5. Here: 8." in phone.type(epochs="8").keep()
    assert read_step(draft, "training")["epochs"] == "5"


def test_the_value_here_is_kept_when_it_is_chosen(visitor, draft):
    laptop, phone = Page(visitor, draft, "training"), Page(visitor, draft, "training")
    laptop.type(epochs="5").keep()
    phone.type(epochs="7").keep()
    phone.values["undecided"] = []
    assert (phone.keep(), read_step(draft, "training")["epochs"]) == ("Saved", "7")
    assert "There: 7. Here: 6." in laptop.type(epochs="6").keep()


def test_the_value_there_is_kept_when_it_is_chosen(visitor, draft):
    laptop, phone = Page(visitor, draft, "training"), Page(visitor, draft, "training")
    laptop.type(epochs="5").keep()
    text = phone.type(epochs="7").send_late().content.decode()
    value = json.loads(unescape(re.findall(r'data-autosave-value-param="([^"]*)"', text)[0]))
    phone.keep()
    phone.values["undecided"] = []
    assert (phone.type(epochs=value).keep(), read_step(draft, "training")["epochs"]) == ("Saved", "5")


def test_without_a_script_the_step_asks_when_it_is_sent(visitor, draft):
    laptop, phone = Page(visitor, draft, "training"), Page(visitor, draft, "training")
    assert laptop.type(epochs="5").go_on().status_code == 303
    refused = phone.type(epochs="7").go_on()
    assert refused.status_code == 422
    assert "There: 5. Here: 7." in refused.content.decode()
    assert read_step(draft, "training")["epochs"] == "5"
    phone.values = FormPage(refused.content.decode(), "step-form").values
    assert (phone.go_on().status_code, read_step(draft, "training")["epochs"]) == (303, "7")


def test_a_choice_is_told_by_its_label(visitor, draft):
    one, other = factories.dataset(name="Pirates"), factories.dataset(name="<i>Poets")
    laptop, phone = Page(visitor, draft, "training"), Page(visitor, draft, "training")
    laptop.type(dataset=str(one.pk)).keep()
    text = phone.type(dataset=str(other.pk)).send_late().content.decode()
    assert "There: Pirates. Here: &lt;i&gt;Poets." in text


def test_what_arrives_after_its_step_was_sent_changes_nothing(visitor, draft):
    """Even where the text was put back as it had been before the step was sent."""
    page = Page(visitor, draft, "training")
    late = dict(page.values) | {"epochs": "9"}
    assert page.go_on().status_code == 303
    before = read_step(draft, "training")
    answer = visitor.post(f"{page.url}keep/", late)
    assert (answer.status_code, read_step(draft, "training")) == (200, before)


def test_a_page_does_not_contradict_itself_when_its_answer_was_lost(visitor, draft):
    page = Page(visitor, draft, "training")
    page.type(epochs="5").send_late()
    assert page.type(epochs="56").keep() == "Saved"
    page.type(epochs="567").send_late()
    assert page.type(epochs="3").go_on().status_code == 303
    assert read_step(draft, "training")["epochs"] == "3"


def test_a_job_that_was_started_is_left_alone(visitor, draft):
    page = Page(visitor, draft, "deployment").type(endpoint_display_name="Late")
    TuningDraft.objects.update(submitted_at=timezone.now())
    before = read_step(draft, "deployment") if "deployment" in draft.data else None
    answer = page.send_late()
    assert answer.status_code == 409
    assert "Not saved: This job was already started." in answer.content.decode()
    assert (read_step(draft, "deployment") if "deployment" in draft.data else None) == before


def test_a_step_that_cannot_be_opened_any_more_says_so(visitor, draft):
    page = Page(visitor, draft, "training")
    draft.data.pop("base-model")
    draft.save()
    answer = page.type(epochs="4").send_late()
    assert (answer.status_code, "Not saved: Finish the earlier steps first." in answer.content.decode()) == (409, True)


def test_more_than_any_field_holds_is_refused(visitor, draft):
    page = Page(visitor, draft, "name").type(description="x" * 20_001, display_name="Other")
    assert "The text is longer than 20000 characters. Shorten it." in page.send_late().content.decode()
    assert read_step(draft, "name")["display_name"] == "Captain"


def test_nothing_but_the_fields_of_the_step_is_kept(visitor, draft):
    Page(visitor, draft, "name").type(display_name="Other", password="hunter2", **{"train-file": "x"}).keep()
    assert "hunter2" not in json.dumps(read_step(draft, "name"))
    assert "csrf" not in json.dumps(draft.data)


def test_it_leaves_no_line_in_the_audit_log(visitor, draft):
    before = AuditEntry.objects.count()
    Page(visitor, draft, "name").type(display_name="Other").keep()
    assert AuditEntry.objects.count() == before


def test_a_page_that_was_only_opened_keeps_nothing_and_one_that_was_typed_in_is_a_draft(visitor):
    first = visitor.get("/tuning/new/").url
    assert visitor.get("/tuning/new/").url == first
    draft = TuningDraft.objects.get()
    Page(visitor, draft, "name").type(description="Mine").keep()
    assert visitor.get("/tuning/new/").url != first


def test_the_output_folder_follows_a_name_that_was_kept_on_the_way(visitor):
    draft = TuningDraft.objects.get(pk=visitor.get("/tuning/new/").url.split("/")[3])
    Page(visitor, draft, "name").type(display_name="First").go_on()
    Page(visitor, draft, "base-model").type(base_model=factories.BASE_MODEL).go_on()
    Page(visitor, draft, "output").go_on()
    page = Page(visitor, draft, "name")
    page.type(display_name="Seco").keep()
    page.type(display_name="Second").go_on()
    assert "/second-" in read_step(draft, "output")["output_uri"]


def test_another_base_model_has_to_be_sent_before_the_later_steps_open_again(visitor, draft):
    other = factories.publisher_model(name="google/gemma3@gemma-3-1b-it").name
    page = Page(visitor, draft, "base-model").type(base_model=other)
    assert page.keep() == "Saved"
    assert visitor.get(f"/tuning/drafts/{draft.pk}/training/").url.endswith("/base-model/")
    assert page.go_on().status_code == 303
    assert visitor.get(f"/tuning/drafts/{draft.pk}/training/").status_code == 200


@pytest.mark.parametrize("known", ["", "nonsense", "[]", '{"values": 3}', '{"page": [], "values": {"x": {}}}'])
def test_a_page_that_has_forgotten_what_it_knew_is_taken_as_it_comes(visitor, draft, known):
    page = Page(visitor, draft, "training").type(epochs="5", known=known)
    assert (page.send_late().status_code, read_step(draft, "training")["epochs"]) == (200, "5")


def test_who_signed_out_is_led_to_sign_in(visitor, draft):
    page = Page(visitor, draft, "name").type(display_name="Other")
    visitor.logout()
    assert (page.send_late().status_code, read_step(draft, "name")["display_name"]) == (302, "Captain")
