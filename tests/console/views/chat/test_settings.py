import json

import pytest

from jobs.models import ChatPreset
from tests.support import factories

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}
SCHEMA = {"type": "object"}


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def words(response):
    return " ".join(response.content.decode().split())


def url(talk, rest=""):
    return f"/studio/chat/{talk.pk}/{rest}"


def save(visitor, talk, headers=HTMX, **data):
    response = visitor.post(url(talk, "options/"), data, **headers)
    talk.refresh_from_db()
    return response


def preset(**values):
    return ChatPreset.objects.create(
        **{"owner": factories.owner(), "name": "Brief", "parameters": {"seed": 7}} | values
    )


def test_every_parameter_is_kept_with_the_chat(visitor):
    talk = factories.conversation()
    save(
        visitor,
        talk,
        top_k="5",
        stop=["END", "a\\nb"],
        seed="7",
        response_format="json_schema",
        schema='{"type":"object"}',
    )
    inner = {"name": "answer", "schema": SCHEMA}
    response_format = {"type": "json_schema", "json_schema": inner}
    assert talk.parameters == {"top_k": 5, "stop": ["END", "a\nb"], "seed": 7, "response_format": response_format}


def test_a_changed_parameter_is_marked_and_has_a_button(visitor):
    text = words(visitor.get(url(factories.conversation(parameters={"seed": 7}))))
    assert (text.count("Reset </button>"), 'value="seed" aria-label="Reset Seed"' in text) == (1, True)
    assert ("Reset all" in text, "Reset all" in words(visitor.get(url(factories.conversation())))) == (True, False)


@pytest.mark.parametrize("headers", [{}, HTMX])
@pytest.mark.parametrize(
    ("reset", "left"),
    [("seed", ["response_format", "stop"]), ("stop", ["response_format", "seed"]),
     ("response_format", ["seed", "stop"]), ("all", []), ("system_instruction", ["response_format", "seed", "stop"]),
     ("\x00", ["response_format", "seed", "stop"])],
)  # fmt: skip
def test_one_is_reset_or_all_are(visitor, headers, reset, left):
    talk = factories.conversation()
    data = {"seed": "7", "stop": "END", "response_format": "json_schema", "schema": json.dumps(SCHEMA)}
    save(visitor, talk, headers, system_instruction="Be brief.", reset=reset, **data)
    assert (sorted(talk.parameters), talk.system_instruction) == (left, "Be brief.")


def test_what_was_reset_has_the_focus_in_a_new_form(visitor):
    response = save(visitor, factories.conversation(), seed="7", reset="seed")
    assert response["HX-Reswap"] == "outerHTML settle:0ms"
    assert [tag for tag in words(response).split("<") if "autofocus" in tag and 'name="seed"' in tag] != []


def test_an_ordinary_change_is_morphed(visitor):
    assert "HX-Reswap" not in save(visitor, factories.conversation(), seed="7", stop="")


def test_a_wrong_schema_of_a_format_not_chosen_is_in_nobody_s_way(visitor):
    talk = factories.conversation()
    assert (save(visitor, talk, schema="{", seed="7").status_code, talk.parameters) == (200, {"seed": 7})


def test_a_wrong_schema_keeps_the_text(visitor):
    response = save(visitor, factories.conversation(), response_format="json_schema", schema='{"a":')
    assert (response.status_code, "line 1" in words(response), "{&quot;a&quot;:" in words(response)) == (
        422,
        True,
        True,
    )


def test_five_stop_sequences_leave_no_room(visitor):
    text = words(visitor.get(url(factories.conversation(parameters={"stop": list("abcde")}))))
    assert (
        text.count('name="stop-remove"'),
        "Five is the maximum." in text,
        'type="text" class="input" name="stop"' in text,
    ) == (
        5,
        True,
        False,
    )


def test_a_stop_sequence_is_escaped(visitor):
    text = words(visitor.get(url(factories.conversation(parameters={"stop": ['"><b>']}))))
    assert ("<b>" in text, "&quot;&gt;&lt;b&gt;" in text) == (False, True)


def test_parameters_that_the_endpoint_does_not_take_are_hidden(visitor):
    endpoint = factories.ready_endpoint(machine_type="ct5lp-hightpu-1t")
    text = words(visitor.get(url(factories.conversation(endpoint=endpoint))))
    shown = [name for name in ("top_k", "stop", "seed", "frequency_penalty", "response_format") if f"id_{name}" in text]
    assert shown == ["top_k", "stop"]


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_settings_are_saved_as_a_preset(visitor, headers):
    talk = factories.conversation(parameters={"seed": 7}, system_instruction="Be brief.")
    response = visitor.post(url(talk, "presets/"), {"name": "Brief"}, **headers)
    saved = ChatPreset.objects.get()
    assert (response.status_code, saved.owner, saved.name) == (200 if headers else 303, talk.owner, "Brief")
    assert (saved.parameters, saved.system_instruction) == ({"seed": 7}, "Be brief.")


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_preset_without_a_name_says_so(visitor, headers):
    response = visitor.post(url(factories.conversation(), "presets/"), {"name": ""}, **headers)
    assert (response.status_code, "Enter a name for the preset." in words(response)) == (422, True)


def test_too_many_presets_say_so(visitor):
    ChatPreset.objects.bulk_create(ChatPreset(owner=factories.owner(), name=str(number)) for number in range(50))
    response = visitor.post(url(factories.conversation(), "presets/"), {"name": "51"}, **HTMX)
    assert (response.status_code, "Delete one first." in words(response)) == (422, True)


def test_a_preset_is_used(visitor):
    talk = factories.conversation(parameters={"top_k": 1})
    response = visitor.post(url(talk, "presets/use/"), {"preset": preset().pk})
    talk.refresh_from_db()
    assert (response.status_code, response.url, talk.parameters) == (303, url(talk), {"seed": 7})


def test_a_preset_is_deleted(visitor):
    response = visitor.post(url(factories.conversation(), "presets/delete/"), {"preset": preset().pk}, **HTMX)
    assert (response.status_code, "Brief" in words(response), ChatPreset.objects.count()) == (200, False, 0)


@pytest.mark.parametrize("action", ["use", "delete"])
def test_another_person_s_preset_is_not_there(visitor, team_mate, action):
    theirs, talk = preset(owner=team_mate), factories.conversation()
    assert visitor.post(url(talk, f"presets/{action}/"), {"preset": theirs.pk}).status_code == 409
    assert "Brief" not in words(visitor.get(url(talk)))


def test_another_person_s_chat_is_not_there(visitor, team_mate):
    talk = factories.conversation(owner=team_mate)
    statuses = [visitor.post(url(talk, path)).status_code for path in ("options/", "presets/", "presets/use/")]
    assert [*statuses, visitor.get(url(talk, "code/")).status_code] == [404] * 4


def test_the_folded_instructions_show_how_they_begin(visitor):
    talk = factories.conversation()
    text = words(save(visitor, talk, system_instruction="Answer like a <pirate>."))
    line = '<hx-partial hx-target="#system-line" hx-swap="innerHTML"><span>Answer like a &lt;pirate&gt;.'
    assert (line in text, "Answer like a &lt;pirate&gt;." in words(visitor.get(url(talk)))) == (True, True)


def test_choosing_json_by_schema_complains_about_nothing_before_something_is_typed(visitor):
    talk = factories.conversation(parameters={"seed": 7})
    response = save(visitor, talk, seed="8", response_format="json_schema", schema="")
    text = words(response)
    assert (response.status_code, "Write a schema" in text, "once a schema is written" in text) == (200, False, True)
    assert ('value="json_schema" selected' in text, ">Saved<" in text, talk.parameters) == (True, False, {"seed": 8})
    response = save(visitor, talk, response_format="json_schema", schema="", save="1")
    assert (response.status_code, "Enter a schema, or choose another output format." in words(response)) == (422, True)


def test_an_emptied_schema_leaves_the_saved_one_until_there_is_another(visitor):
    talk = factories.conversation()
    save(visitor, talk, response_format="json_schema", schema='{"type":"object"}')
    before = talk.parameters
    save(visitor, talk, response_format="json_schema", schema="")
    assert talk.parameters == before


@pytest.mark.parametrize("schema", ['{"type": "object"}', '{"type": "obj'])
def test_another_format_keeps_the_schema_and_a_reset_empties_it(visitor, schema):
    talk = factories.conversation()
    save(visitor, talk, response_format="json_schema", schema=schema)
    response = save(visitor, talk, response_format="json_object", schema=schema)
    kept = schema.replace('"', "&quot;")
    assert talk.parameters == {"response_format": {"type": "json_object"}}
    assert [f"{kept}</textarea>" in words(page) for page in (response, visitor.get(url(talk)))] == [True, True]
    response = save(visitor, talk, response_format="json_object", schema=schema, reset="response_format")
    assert (kept in words(response), talk.schema_text, talk.parameters) == (False, "", {})
