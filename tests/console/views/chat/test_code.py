import ast
import json
import shlex

import pytest

from console.presenters.chat.code import TABS, Code
from console.views.chat.code import body_of
from tests.support import factories

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}
GOOGLE = {"dedicated_dns": "e.us-central1-1.prediction.vertexai.goog"}
PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{'A' * 300_000}"}}
WITH_PICTURE = {"messages": [{"role": "user", "content": [{"type": "text", "text": "What?"}, PICTURE]}], "seed": 7}


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def words(response):
    return " ".join(response.content.decode().split())


def code(key, body, **values):
    return Code(factories.ready_endpoint(**values), body, next(tab for tab in TABS if tab.key == key))


def said(talk, *texts):
    for number, text in enumerate(texts):
        factories.message(conversation=talk, content=text, role="assistant" if number % 2 else "user")
    return talk


def test_it_holds_the_branch_up_to_its_last_question_and_the_parameters():
    talk = factories.conversation(system_instruction="Be brief.", parameters={"seed": 7, "top_k": 3})
    said(talk, "One?", "One.", "Two?", "Two.")
    roles = [("system", "Be brief."), ("user", "One?"), ("assistant", "One."), ("user", "Two?")]
    messages = [{"role": role, "content": text} for role, text in roles]
    assert body_of(talk) == {"messages": messages, "seed": 7, "top_k": 3}


def test_a_chat_without_a_question_has_an_example():
    assert body_of(factories.conversation()) == {"messages": [{"role": "user", "content": "Hello!"}]}


def test_what_the_endpoint_does_not_take_is_left_out():
    endpoint = factories.ready_endpoint(machine_type="ct5lp-hightpu-1t")
    assert set(body_of(factories.conversation(endpoint=endpoint, parameters={"seed": 7}))) == {"messages"}


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.key)
def test_for_google_they_ask_the_dedicated_address_and_print_no_secret(settings, tab):
    settings.VERTEX_API_ENDPOINT = ""
    text = code(tab.key, {"messages": [{"role": "user", "content": "Hi"}]}, **GOOGLE).text
    asks = f"https://{GOOGLE['dedicated_dns']}/v1beta1/projects/" in text
    login = {
        "curl": "$(gcloud auth print-access-token)",
        "openai": "credentials.token",
        "google": "aiplatform.init(",
        "javascript": '"gcloud", ["auth", "print-access-token"]',
    }
    assert (asks or tab.key == "google", login[tab.key] in text) == (True, True)


@pytest.mark.parametrize("address", ["", "http://127.0.0.1:1"])
@pytest.mark.parametrize("key", ["openai", "google"])
def test_the_python_is_python(settings, key, address):
    settings.VERTEX_API_ENDPOINT = address
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"enum": [None, True, "it's\n\u2028\""]}}}
    tree = ast.parse(code(key, WITH_PICTURE | {"response_format": schema, "top_k": 3}).text)
    literals = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert any(node.value == "it's\n\u2028\"" for node in literals)


def test_the_body_for_curl_is_the_request(settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1/'$(x)"
    command, _, rest = code("curl", WITH_PICTURE).text.partition(" <<'JSON'\n")
    assert json.loads(rest.removesuffix("\nJSON\n")) == {"model": "", **WITH_PICTURE}
    assert shlex.split(command)[1].startswith("http://127.0.0.1:1/'$(x)/v1beta1/projects/")


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.key)
def test_an_image_is_shown_in_short_and_copied_whole(tab):
    shown = code(tab.key, WITH_PICTURE)
    assert (shown.is_shortened, len(shown.html) < 10_000, "A" * 300_000 in shown.text) == (True, True, True)


def test_a_text_is_escaped():
    assert "<b>" not in code("curl", {"messages": [{"role": "user", "content": "<b>"}]}).html


def test_the_panel_opens_over_the_page_and_a_tab_changes_it_in_place(visitor):
    talk = said(factories.conversation(), "One?")
    address = f"/studio/chat/{talk.pk}/code/"
    page, part = words(visitor.get(address)), words(visitor.get(f"{address}?tab=openai", **HTMX))
    assert ("<html" in page, '<dialog class="panel" id="code-panel"' in page, "One?" in page) == (True, True, True)
    assert (part.startswith('<div class="stack" id="chat-code"'), "OpenAI" in part) == (True, True)


@pytest.mark.parametrize(("address", "call"), [("http://127.0.0.1:1", "AnonymousCredentials"), ("", "raw_predict(")])
def test_google_s_client_is_told_where_to_ask(visitor, settings, address, call):
    settings.VERTEX_API_ENDPOINT, talk = address, factories.conversation()
    text = visitor.get(f"/studio/chat/{talk.pk}/code/?tab=google&download").content.decode()
    assert (call in text, f'server = "{address}"' in text) == (True, bool(address))


def test_it_can_be_downloaded(visitor):
    response = visitor.get(f"/studio/chat/{factories.conversation().pk}/code/?tab=javascript&download")
    assert (response["Content-Type"], response["Content-Disposition"]) == (
        "text/plain; charset=utf-8",
        'attachment; filename="ask.mjs"',
    )
    assert response.content.startswith(b"const answer") or response.content.startswith(b"import")


def test_without_an_endpoint_there_is_no_address_to_ask(visitor):
    talk = factories.conversation(endpoint=None)
    assert visitor.get(f"/studio/chat/{talk.pk}/code/").status_code == 404
    assert "/code/" not in words(visitor.get(f"/studio/chat/{talk.pk}/"))
