import re
import uuid
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone
from selectolax.lexbor import LexborHTMLParser

from jobs.models import Conversation, Endpoint, MachinePrice
from tests.support import factories
from tests.support.markup import tight

pytestmark = pytest.mark.django_db
URL = "/publishers/google/model-garden/gemma3/"
PANEL = '<dialog class="panel" id="deploy-panel" aria-labelledby="deploy-title" open'
CLOUD = {"machine_type": "g2-standard-24", "accelerator_type": "NVIDIA_L4", "accelerator_count": 2, "title": ""}
CLOSED: dict[str, Any] = {"can_tune": False, "can_deploy": False}


@pytest.fixture
def signed_in(client, owner):
    client.force_login(owner)
    return client


@pytest.fixture
def model():
    return factories.publisher_model(display_name="Gemma 3 270M", licence_acknowledged=False)


def typed(**values):
    return {
        "key": str(uuid.uuid4()),
        "model": factories.BASE_MODEL,
        "display_name": "Base",
        "machine": "local-cpu::0",
        "accepts_licence": "on",
    } | values


def test_a_family_that_is_not_listed_is_not_found(signed_in):
    factories.publisher_model(is_listed=False)
    assert signed_in.get(URL).status_code == 404


def test_the_page_opens_at_the_variant_that_can_be_used(signed_in, model):
    factories.publisher_model(name="google/gemma3@gemma-3-1b-it", display_name="Gemma 3 1B IT", **CLOSED)
    response = signed_in.get(URL)
    assert response.context["variant"].name == factories.BASE_MODEL
    assert [variant.size for variant in response.context["family"].variants] == ["270M", "1B IT"]


def test_a_variant_that_is_not_offered_says_why(signed_in, model):
    factories.publisher_model(name="google/gemma3@gemma-3-1b-it", display_name="Gemma 3 1B IT", **CLOSED)
    content = signed_in.get(f"{URL}?variant=gemma-3-1b-it").content.decode()
    assert "Vertex AI doesn&#x27;t offer tuning for this model." in content
    assert 'aria-disabled="true"' in content
    assert "deploy-panel" not in content


@pytest.mark.parametrize("query", ["", "&action=code&tab=openai", "&action=code&tab=curl"])
def test_what_is_not_deployed_here_is_nowhere_said_to_be_deployed_first(signed_in, query):
    factories.publisher_model(can_deploy=False)
    content = signed_in.get(f"{URL}?variant=gemma-3-270m{query}").content.decode()
    assert [words for words in ("Deploy it first", "Deploy it, then put its id") if words in content] == []
    assert unescape(content).count("You can't try it out here: it isn't offered for deployment") == 2
    assert 'href="/model-garden/?feature=deploy"' in content


def test_what_can_be_deployed_is_deployed_first(signed_in, model):
    content = signed_in.get(f"{URL}?variant=gemma-3-270m").content.decode()
    assert (content.count("Deploy it first"), "cannot be tried out" in content) == (3, False)


def test_a_pretrained_model_says_that_it_completes_text(signed_in, model):
    assert "A pretrained model" in signed_in.get(URL).content.decode()


def test_a_description_from_the_catalogue_is_made_harmless(signed_in):
    factories.publisher_model(data={"overview": "# Hi\n\n<script>alert(1)</script> [x](javascript:alert(1))"})
    overview = signed_in.get(URL).context["overview"]
    assert "<script" not in overview
    assert 'href="javascript' not in overview


def test_the_page_shows_only_endpoints_of_the_person(signed_in, model, owner, stranger, django_assert_num_queries):
    factories.ready_endpoint(owner=stranger, display_name="Theirs")
    mine = factories.ready_endpoint(owner=owner, display_name="Mine")
    with django_assert_num_queries(5):
        response = signed_in.get(URL)
    assert response.context["endpoints"] == [mine]


def test_the_panel_can_be_opened_by_its_address(signed_in, model):
    assert PANEL in signed_in.get(f"{URL}?action=deploy").content.decode()
    assert '<dialog class="panel' not in signed_in.get(URL).content.decode()


def test_deploying_makes_an_endpoint_and_goes_there(signed_in, model, owner):
    response = signed_in.post(f"{URL}deploy/", typed())
    endpoint = Endpoint.objects.get()
    assert (response.status_code, response["Location"]) == (303, f"/endpoints/{endpoint.pk}/")
    assert (endpoint.owner, endpoint.display_name, endpoint.model.publisher_model) == (
        owner,
        "Base",
        factories.BASE_MODEL,
    )
    assert (endpoint.model.machine_type, endpoint.model.accepts_licence) == ("local-cpu", True)


def test_the_address_of_the_form_leads_to_the_panel(signed_in, model):
    assert signed_in.get(f"{URL}deploy/")["Location"] == f"{URL}?action=deploy"


def test_two_clicks_are_one_endpoint(signed_in, model):
    values = typed()
    places = {signed_in.post(f"{URL}deploy/", values)["Location"] for _click in range(2)}
    assert len(places) == Endpoint.objects.count() == 1


def test_a_form_sent_again_with_other_values_is_refused_in_the_panel(signed_in, model):
    values = typed()
    signed_in.post(f"{URL}deploy/", values)
    response = signed_in.post(f"{URL}deploy/", values | {"display_name": "Other"})
    assert response.status_code == 422
    assert len(response.context["form"].non_field_errors()) == 1


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("display_name", "", "Enter a name."),
        ("machine", "toaster", "This machine isn't available for this model. Choose one from the list."),
        ("accepts_licence", "", "Read and accept the terms. You can't deploy the model without accepting them."),
        ("key", "x", "The form was incomplete. Open the page again."),
    ],
)
def test_a_wrong_value_keeps_the_others_and_makes_nothing(signed_in, model, field, text, message):
    response = signed_in.post(f"{URL}deploy/", typed(**{field: text}), headers={"HX-Request": "true"})
    assert (response.status_code, dict(response.context["form"].errors)) == (422, {field: [message]})
    assert response.content.decode().lstrip().startswith('<form id="deploy-form"')
    assert Endpoint.objects.count() == 0


def test_without_javascript_the_panel_is_open_on_the_page(signed_in, model):
    content = signed_in.post(f"{URL}deploy/", typed(display_name="")).content.decode()
    assert PANEL in content
    assert "<h1" in content


def test_machines_are_told_apart_by_what_they_are(signed_in):
    specs = [
        {"machine_type": "local-cpu", "accelerator_type": "", "accelerator_count": 0, "title": "Deploy model"},
        {
            "machine_type": "g2-standard-24",
            "accelerator_type": "NVIDIA_L4",
            "accelerator_count": 2,
            "title": "Deploy model",
        },
    ]
    factories.publisher_model(data={"machine_specs": specs})
    assert signed_in.get(f"{URL}?action=deploy").context["form"].fields["machine"].choices == [
        ("local-cpu::0", "This computer (CPU only)"),
        ("g2-standard-24:NVIDIA_L4:2", "g2-standard-24 · 2 × NVIDIA L4"),
    ]


def test_an_accepted_licence_is_not_asked_for(signed_in):
    factories.publisher_model()
    assert "accepts_licence" not in signed_in.get(f"{URL}?action=deploy").context["form"].fields


def test_a_model_of_another_family_is_not_deployed_from_here(signed_in, model):
    assert signed_in.post(f"{URL}deploy/", typed(model="meta/llama3@llama-3-8b")).status_code == 404


def test_a_model_that_is_not_offered_is_not_deployed(signed_in):
    factories.publisher_model(**CLOSED)
    assert signed_in.post(f"{URL}deploy/", typed()).status_code == 422
    assert Endpoint.objects.count() == 0


def test_a_machine_says_what_it_costs_or_that_nobody_knows(signed_in):
    specs = [CLOUD, CLOUD | {"machine_type": "x9-mega", "accelerator_type": "", "accelerator_count": 0}]
    factories.publisher_model(data={"machine_specs": specs})
    content = signed_in.get(f"{URL}?action=deploy").content.decode()
    assert "≈ $2.30 per hour while deployed" in content
    assert "Price unknown" in content


def cloud_model():
    return factories.publisher_model(data={"machine_specs": [CLOUD]})


def test_what_is_chosen_is_kept(signed_in):
    cloud_model()
    chosen = {"min_replicas": "2", "max_replicas": "3", "spot": "on", "shared_address": "on"}
    signed_in.post(f"{URL}deploy/", typed(machine="g2-standard-24:NVIDIA_L4:2", model_display_name="Mine", **chosen))
    made = Endpoint.objects.get()
    assert (made.model.min_replicas, made.model.max_replicas, made.model.spot, made.shared_address) == (
        2,
        3,
        True,
        True,
    )
    assert (made.model.display_name, made.display_name) == ("Mine", "Base")


def test_more_replicas_at_least_than_at_most_are_refused(signed_in):
    cloud_model()
    values = typed(machine="g2-standard-24:NVIDIA_L4:2", min_replicas="3", max_replicas="2")
    response = signed_in.post(f"{URL}deploy/", values, headers={"HX-Request": "true"})
    assert dict(response.context["form"].errors) == {"max_replicas": ["The maximum can't be smaller than the minimum."]}
    assert '<details class="more" open><summary>Advanced' in response.content.decode()


def test_one_replica_is_all_there_is_on_this_computer(signed_in, model):
    fields = signed_in.get(f"{URL}?action=deploy").context["form"].fields
    assert {"min_replicas", "max_replicas", "spot", "shared_address"} & set(fields) == {"shared_address"}


def test_each_way_of_tuning_says_whether_it_is_offered(signed_in, model):
    factories.publisher_model(name="google/gemma3@gemma-3-1b-it")
    variant = signed_in.get(f"{URL}?variant=gemma-3-1b-it").context["variant"]
    assert variant.mode_reasons == [
        ("LoRA adapter", "Managed tuning doesn't offer this mode for this model."), ("Full fine-tuning", ""),
    ]  # fmt: skip


def test_prices_are_known_or_unknown_but_never_nothing(signed_in):
    factories.publisher_model(name="google/gemma3@gemma-3-4b-it", data={"machine_specs": [CLOUD]})
    factories.publisher_model(name="google/gemma3@gemma-3-4b-pt", **CLOSED)
    content = signed_in.get(f"{URL}?variant=gemma-3-4b-it").content.decode().split('id="pricing"')[1]
    assert re.findall(r'<td class="num">(?:<span class="muted">)?([^<]+)', tight(content)) == [
        "$1.14", "Not tunable", "$2.3014", "Unknown",
    ]  # fmt: skip
    assert "2026-07-08" in content


def test_prices_of_the_region_and_of_spot_machines_are_shown(signed_in, settings):
    settings.VERTEX_LOCATION = "europe-west4"
    factories.publisher_model(name="google/gemma3@gemma-3-4b-it", data={"machine_specs": [CLOUD]})
    for spot, usd in ((False, "2.5"), (True, "0.987654")):
        MachinePrice.objects.create(
            machine_type=str(CLOUD["machine_type"]),
            region="europe-west4",
            spot=spot,
            usd_per_hour=usd,
            read_at=timezone.now(),
        )
    content = signed_in.get(f"{URL}?variant=gemma-3-4b-it").content.decode().split('id="pricing"')[1]
    cells = re.findall(r'<td class="num">(?:<span class="muted">)?([^<]+)', tight(content))
    assert cells[-2:] == ["$2.5000", "$0.9877"]
    assert "List price in europe-west4. Google&#x27;s price catalogue, read on" in " ".join(content.split())
    panel = signed_in.get(f"{URL}?variant=gemma-3-4b-it&action=deploy").content.decode()
    assert "≈ $2.50 per hour while deployed · on Spot machines ≈ $0.99" in panel


def test_the_prices_follow_the_region_that_is_chosen_and_what_is_typed_stays(signed_in, settings):
    settings.VERTEX_API_ENDPOINT = ""
    other = CLOUD | {"machine_type": "g2-standard-12", "accelerator_count": 1}
    factories.publisher_model(name="google/gemma3@gemma-3-4b-it", data={"machine_specs": [CLOUD, other]})
    machine, region = "g2-standard-12:NVIDIA_L4:1", "europe-west4"
    MachinePrice.objects.create(
        machine_type="g2-standard-12", region=region, usd_per_hour="1.25", read_at=timezone.now()
    )
    panel = LexborHTMLParser(signed_in.get(f"{URL}?variant=gemma-3-4b-it&action=deploy").content.decode())
    box = panel.css_first("[name=location]").parent
    while "hx-get" not in box.attributes:
        box = box.parent
    assert box.css("[name=machine]") == []
    asked = {"location": region, "machine": machine}
    found = signed_in.get(box.attributes["hx-get"] + "&" + urlencode(asked), headers={"HX-Request": "true"})
    machines = LexborHTMLParser(found.content.decode()).css_first(box.attributes["hx-select"])
    assert [one.attributes["value"] for one in machines.css("[name=machine]") if "checked" in one.attributes] == [
        machine
    ]
    prices = [" ".join(one.text().split()) for one in machines.css("label small")]
    assert (prices[1], prices[0] == "≈ $2.30 per hour while deployed") == ("≈ $1.25 per hour while deployed", False)
    assert f"These are the prices in {region}." in " ".join(machines.text().split())
    refused = signed_in.post(f"{URL}deploy/", typed(model="google/gemma3@gemma-3-4b-it", display_name="", **asked))
    assert "≈ $1.25 per hour while deployed" in refused.content.decode()


@pytest.mark.parametrize("asked", ["nowhere", "global", "\x00", ""])
def test_a_region_that_is_none_has_the_prices_of_the_first(signed_in, settings, asked):
    settings.VERTEX_API_ENDPOINT = ""
    cloud_model()
    page = signed_in.get(URL, {"action": "deploy", "location": asked, "machine": asked})
    assert (page.status_code, page.context["price_region"]) == (200, "us-central1")


def test_the_price_of_another_region_is_not_shown(signed_in, settings):
    settings.VERTEX_LOCATION = "europe-west4"
    factories.publisher_model(name="google/gemma3@gemma-3-4b-it", data={"machine_specs": [CLOUD]})
    content = signed_in.get(f"{URL}?variant=gemma-3-4b-it").content.decode().split('id="pricing"')[1]
    cells = re.findall(r'<td class="num">(?:<span class="muted">)?([^<]+)', tight(content))
    assert cells[-2:] == ["Unknown", "Unknown"]


def test_this_computer_has_no_price_for_what_it_does_not_tune(signed_in, model, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:9"
    factories.publisher_model(name="google/gemma3@gemma-3-4b-it", **CLOSED)
    content = signed_in.get(URL).content.decode().split('id="pricing"')[1]
    cells = re.findall(r'<td class="num">(?:<span class="muted">)?([^<]+)', tight(content))
    assert (sorted(cells[:2]), "Google Cloud" in content) == (["No charge", "Not tunable"], False)


def test_a_version_that_is_not_tuned_here_has_no_price_and_what_is_free_is_of_this_computer(signed_in, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    factories.publisher_model()
    factories.publisher_model(name="google/gemma3@gemma-3-4b-it", **CLOSED)
    content = signed_in.get(f"{URL}?variant=gemma-3-270m").content.decode().split('id="pricing"')[1]
    rows = content.partition("<tbody>")[2].partition("</tbody>")[0]
    assert re.findall(r'<small class="muted">([^<]+)', tight(rows)) == ["This computer", "–"]
    assert re.findall(r'<td class="num">(?:<span class="muted">)?([^<]+)', tight(rows)) == ["No charge", "Not tunable"]


def test_a_chat_opens_with_a_ready_endpoint_of_the_model_first(signed_in, model, owner):
    tuned = factories.ready_endpoint(owner=owner, artifact_uri="gs://bucket/final")
    assert f"/studio/chat/?endpoint={tuned.pk}" in signed_in.get(URL).content.decode()
    plain = factories.ready_endpoint(owner=owner)
    assert f"/studio/chat/?endpoint={plain.pk}" in signed_in.get(URL).content.decode()


def asked(endpoint):
    return {"key": str(uuid.uuid4()), "endpoint": str(endpoint.pk), "text": "Ahoy", "temperature": "0.5"}


def test_trying_out_begins_a_chat(signed_in, model, owner):
    response = signed_in.post(f"{URL}try/", asked(factories.ready_endpoint(owner=owner)))
    talk = Conversation.objects.get()
    assert (response.status_code, response["Location"]) == (303, f"/studio/chat/{talk.pk}/")
    assert (talk.title, talk.parameters) == ("Ahoy", {"temperature": 0.5})
    assert [message.state for message in talk.messages.all()] == ["COMPLETE", "WAITING"]


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("text", " ", "Enter a message."),
        ("endpoint", "x", "This endpoint is no longer available. Choose another one."),
        ("temperature", "9", "Enter a number from 0 to 2."),
    ],
)
def test_a_trial_that_cannot_begin_keeps_what_was_typed(signed_in, model, owner, field, text, message):
    values = asked(factories.ready_endpoint(owner=owner)) | {field: text}
    response = signed_in.post(f"{URL}try/", values, headers={"HX-Request": "true"})
    assert (response.status_code, dict(response.context["trial"].errors)) == (422, {field: [message]})
    assert response.content.decode().lstrip().startswith('<section class="card" id="try"')
    assert Conversation.objects.count() == 0


def test_nobody_tries_out_an_endpoint_of_somebody_else(signed_in, model, owner, stranger):
    factories.ready_endpoint(owner=owner)
    theirs = factories.ready_endpoint(owner=stranger)
    assert signed_in.post(f"{URL}try/", asked(theirs)).status_code == 422


def test_the_address_of_a_trial_leads_to_the_page(signed_in, model):
    assert signed_in.get(f"{URL}try/?variant=gemma-3-270m")["Location"] == f"{URL}?variant=gemma-3-270m"


def test_the_words_of_the_catalogue_go_before_our_own(signed_in):
    factories.publisher_model(data={"documents": {"use cases": "* Sort **mail**"}})
    content = signed_in.get(URL).content.decode()
    assert "<strong>mail</strong>" in content
    assert "Text completion</dt>" not in content


@pytest.mark.parametrize("query", ["", "?action=deploy", "?action=code"])
def test_head_is_answered_as_get_is(signed_in, model, query):
    assert signed_in.head(f"{URL}{query}").status_code == 200


@pytest.mark.parametrize(("query", "count"), [("", 5), ("?action=deploy", 6), ("?action=code&tab=curl", 5)])
def test_the_number_of_queries_does_not_grow(signed_in, model, owner, django_assert_num_queries, query, count):
    for _more in range(2):
        factories.ready_endpoint(owner=owner)
        with django_assert_num_queries(count):
            signed_in.get(f"{URL}{query}")


def sized(title="8K context", **more):
    machine = {"machine_type": "local-cpu", "accelerator_type": "", "accelerator_count": 0, "title": title}
    return {"data": {"context_tokens": 32768, "machine_specs": [machine], "overview": "x"} | more}


@pytest.mark.parametrize(
    ("server", "why"),
    [
        ("http://127.0.0.1:1", "An endpoint on this computer reads up to 8,192 tokens, which saves memory."),
        ("", "An endpoint reads 8,192 tokens: Vertex AI offers the deployment with this limit."),
    ],
)
def test_the_page_says_how_much_an_endpoint_reads_and_why_that_is_less(signed_in, settings, server, why):
    settings.VERTEX_API_ENDPOINT = server
    factories.publisher_model(**sized())
    content = signed_in.get(URL).content.decode()
    assert ("32,768 tokens" in content, why in content, ">8K on an endpoint<" in content) == (True, True, True)


@pytest.mark.parametrize("title", ["", "32K context", "128K context"])
def test_where_an_endpoint_reads_as_much_nothing_more_is_said(signed_in, title):
    factories.publisher_model(**sized(title))
    content = signed_in.get(URL).content.decode()
    assert ("32,768 tokens" in content, "An endpoint" in content, "on an endpoint" in content) == (True, False, False)


def test_where_it_depends_on_the_machine_both_ends_are_told(signed_in):
    specs = [{**CLOUD, "title": "8K context"}, {**CLOUD, "accelerator_count": 4, "title": "16K context"}]
    factories.publisher_model(**sized(machine_specs=specs))
    content = signed_in.get(URL).content.decode()
    assert "An endpoint reads 8,192 to 16,384 tokens, depending on its machine." in content


L4 = {"machine_type": "g2-standard-12", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1, "title": ""}


@pytest.fixture
def on_google(settings):
    settings.VERTEX_API_ENDPOINT, settings.VERTEX_LOCATIONS = "", ["europe-west4"]
    return factories.publisher_model(data={"machine_specs": [L4], "licence": "Any"}, licence_acknowledged=True)


def on_l4(**values):
    return typed(machine="g2-standard-12:NVIDIA_L4:1") | values


def test_a_region_and_options_are_asked_for(signed_in, on_google):
    page = signed_in.get(f"{URL}?action=deploy").content.decode()
    assert re.findall(r'<option value="([a-z]+-[a-z]+[0-9])"( selected)?', page) == [
        ("us-central1", " selected"), ("europe-west4", ""),
    ]  # fmt: skip
    for name in ("idle_minutes", "autoscaling_gpu", "reservation", "flex_start_hours", "endpoint_labels"):
        assert f'name="{name}"' in page
    assert 'name="service_account"' not in page


def test_they_are_the_endpoints(signed_in, on_google):
    asked = {"location": "europe-west4", "idle_minutes": "15", "autoscaling_requests": "60", "max_replicas": "3"}
    response = signed_in.post(f"{URL}deploy/", on_l4(**asked, endpoint_labels="team=support\n\nwho=me"))
    assert response.status_code == 303
    endpoint = Endpoint.objects.with_model().get()
    assert (endpoint.location, endpoint.model.min_replicas, endpoint.model.max_replicas) == ("europe-west4", 0, 3)
    assert endpoint.model.serving_options == {
        "idle_minutes": 15, "autoscaling": {"requests": 60}, "endpoint_labels": {"team": "support", "who": "me"},
    }  # fmt: skip
    page = signed_in.get(response.url).content.decode()
    assert "<dt>Scale to zero after (minutes)</dt><dd>15</dd>" in page
    assert "<dt>Labels</dt><dd>team=support, who=me</dd>" in page


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"location": "global"}, "Vertex AI serves models in regions only, not in global."),
        ({"location": "us-west1"}, "The console isn&#x27;t configured for the region us-west1."),
        ({"idle_minutes": "2"}, "Enter a whole number of minutes from 5 to 480."),
        ({"idle_minutes": "x"}, "Enter a whole number of minutes from 5 to 480."),
        (
            {"idle_minutes": "9", "shared_address": "on"},
            "Scaling to zero needs dedicated DNS. Clear “Turn off dedicated DNS”, or leave this empty.",
        ),
        ({"flex_start_hours": "2", "spot": "on"}, "A machine is either Spot or Flex-start."),
        ({"reservation": "SPECIFIC_RESERVATION"}, "Enter the reservations, from 1 to 10, one on each line."),
        ({"endpoint_labels": "Team"}, "Line 1: enter a label as key=value"),
    ],
)
def test_what_is_wrong_with_them_stands_at_its_field(signed_in, on_google, values, message):
    response = signed_in.post(f"{URL}deploy/", on_l4(**values))
    assert (response.status_code, message in response.content.decode()) == (422, True)
    assert Endpoint.objects.count() == 0


def test_a_local_run_asks_for_no_region_and_for_little_else(signed_in, model, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    page = signed_in.get(f"{URL}?action=deploy").content.decode()
    assert [f'name="{name}"' in page for name in ("location", "flex_start_hours", "idle_minutes")] == [
        False, False, True,
    ]  # fmt: skip


OFFERS = [
    {"kind": "q4_k_m", "size": 2_489_000_000, "memory": 3_100_000_000, "tokens_per_second": None, "is_default": False},
    {"kind": "q8_0", "size": 4_130_000_000, "memory": 0, "tokens_per_second": 12.34, "is_default": True},
    {"kind": "f16", "size": 7_760_000_000, "memory": 0, "tokens_per_second": None, "is_default": False},
]


@pytest.fixture
def in_several(settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    local = {"machine_type": "local-cpu", "accelerator_type": "", "accelerator_count": 0, "title": ""}
    facts = {"machine_specs": [local], "licence": "Any", "precisions": {"base": OFFERS}}
    return factories.publisher_model(data=facts, licence_acknowledged=True)


def test_the_panel_tells_what_each_precision_takes(signed_in, in_several):
    page = signed_in.get(f"{URL}?action=deploy").content.decode()
    assert re.findall(r'name="precision" value="(\w*)"( checked)?', page) == [
        ("f16", ""), ("q8_0", " checked"), ("q4_k_m", ""),
    ]  # fmt: skip
    words = " ".join(page.replace("\xa0", " ").split())
    assert "<small>3.8 GB file · 12.3 tokens per second on this computer</small>" in words
    assert "<small>2.3 GB file · about 2.9 GB of memory · speed not measured yet</small>" in words
    assert words.count('<span class="badge">Recommended</span>') == 1


def test_the_chosen_precision_is_the_deployments(signed_in, in_several):
    response = signed_in.post(f"{URL}deploy/", typed(machine="local-cpu::0", precision="q4_k_m"))
    assert response.status_code == 303
    assert Endpoint.objects.with_model().get().model.serving_options == {"precision": "q4_k_m"}
    assert "<dt>Precision</dt><dd>Q4_K_M</dd>" in signed_in.get(response.url).content.decode()


def test_a_precision_that_the_model_does_not_have_is_refused(signed_in, in_several):
    response = signed_in.post(f"{URL}deploy/", typed(machine="local-cpu::0", precision="q2_k"))
    assert (response.status_code, Endpoint.objects.count()) == (422, 0)
    assert "Choose one of the precisions in the list." in response.content.decode()


def test_where_there_is_one_precision_it_is_named_and_not_asked_for(signed_in, in_several):
    in_several.data["precisions"] = {"base": [OFFERS[0] | {"kind": "q4_1", "is_default": True}]}
    in_several.save()
    page = signed_in.get(f"{URL}?action=deploy").content.decode()
    assert 'name="precision"' not in page
    assert "<dd>Q4_1, the model&#x27;s own file<br>" in page


def test_google_is_asked_for_no_precision(signed_in, on_google):
    assert 'name="precision"' not in signed_in.get(f"{URL}?action=deploy").content.decode()


def test_a_computer_that_serves_on_its_gpu_says_so(signed_in, in_several):
    in_several.data["machine_specs"][0]["title"] = "8K context, GPU"
    in_several.save()
    assert "This computer (GPU)" in signed_in.get(f"{URL}?action=deploy").content.decode()


def test_the_tokens_of_a_row_are_grouped_like_all_figures(signed_in, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    factories.publisher_model()
    assert "A row has at most 2,048 tokens." in signed_in.get(URL).content.decode()
