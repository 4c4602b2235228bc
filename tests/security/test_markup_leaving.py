"""What leaves the console: requests to models, e-mails, webhooks, frames of a stream, redirects, headers."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as console_settings
from django.core import mail
from django.utils import timezone
from selectolax.lexbor import LexborHTMLParser

from console.web import streams
from jobs.models import Delivery, Notification, NotificationChoice
from jobs.services.chat import conversations
from jobs.services.chat.streaming.renderer import Drawing
from jobs.services.notifications import deliveries
from jobs.text import markdown
from jobs.vertex import get_gateway
from tests.security import planting
from tests.security.test_markup_everywhere import TEXTS
from tests.support import factories, hostile_answers
from tests.support.receivers import receiving
from tests.support.share import one_of

OTHERS = "planted-elsewhere"


@contextmanager
def captured() -> Iterator[tuple[str, list[tuple[str, dict[str, str], bytes]]]]:
    """A model's server that keeps all that it is sent: path, headers, body."""
    kept: list[tuple[str, dict[str, str], bytes]] = []

    class Model(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            choice = {"delta": {"content": "Aye"}, "finish_reason": "stop"}
            self.wfile.write(f"data: {json.dumps({'choices': [choice]})}\n\ndata: [DONE]\n\n".encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as model:
        thread = threading.Thread(target=model.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{model.server_port}", kept
        finally:
            model.shutdown()
            thread.join()


@pytest.fixture
def everywhere(db: None) -> None:
    """The owner's and a stranger's chats, datasets, jobs, names, address: all hold the same words."""
    planting.grow()
    stranger = factories.stranger(email=f"{OTHERS}@example.com")
    talk = factories.conversation(owner=stranger, system_instruction=OTHERS)
    factories.message(conversation=talk, content=OTHERS)
    planting.plant(OTHERS)


@pytest.mark.threat("T26")
@pytest.mark.django_db(transaction=True)
def test_a_model_is_told_what_this_chat_holds_and_nothing_else(everywhere: None, settings: Any) -> None:
    endpoint = factories.ready_endpoint(display_name=OTHERS, model_display_name=OTHERS, notice=OTHERS)
    talk = factories.conversation(endpoint=endpoint, title=OTHERS, system_instruction="Be brief.", draft=OTHERS)
    factories.message(conversation=talk, content="One?")
    factories.message(conversation=talk, role="assistant", content="Two.", answered_by=OTHERS, html=OTHERS)
    aside = factories.message(conversation=talk, content=f"{OTHERS}: another branch")
    talk.head = aside.parent
    talk.save()
    with captured() as (address, kept):
        settings.VERTEX_API_ENDPOINT = address
        get_gateway.cache_clear()
        answer = conversations.ask(talk, key=uuid4(), text="Three?")
        conversations.answer(answer.pk)
    get_gateway.cache_clear()
    answer.refresh_from_db()
    [(path, headers, body)] = kept
    assert (answer.state, answer.content) == ("COMPLETE", "Aye")
    assert json.loads(body)["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Two."},
        {"role": "user", "content": "Three?"},
    ]
    assert set(json.loads(body)) <= {"model", "messages", "stream", "stream_options", "max_tokens", "temperature"}
    sent = json.dumps([path, headers, body.decode()])
    secrets = [OTHERS, "owner", "stranger", "cookie", "session", console_settings.SECRET_KEY, str(talk.pk)]
    assert [word for word in secrets if word in sent] == []
    assert endpoint.resource_name in path


@pytest.mark.threat("T5")
@pytest.mark.django_db
@pytest.mark.parametrize("text", one_of(3, TEXTS.values()), ids=TEXTS)
def test_an_email_and_a_webhook_say_it_as_text(text: str, settings: Any) -> None:
    planting.grow()
    planting.plant(text)
    settings.EMAIL_HOST, settings.WEBHOOK_PRIVATE = "127.0.0.1", True
    with receiving() as receiver:
        NotificationChoice.objects.update(email="a@b.example", webhook_url=receiver.url)
        Delivery.objects.all().delete()
        for told in Notification.objects.all():
            for way in ("email", "webhook"):
                made = Delivery.objects.create(notification=told, way=way, next_try_at=timezone.now())
                deliveries.attempt(made.pk, timezone.now())
                made.refresh_from_db()
                assert (told.kind, way, made.state, made.detail) == (told.kind, way, "DELIVERED", "")
        bodies = [json.loads(body) for _headers, body in receiver.requests]
    letters = [message_from_bytes(letter.message().as_bytes(), policy=policy.default) for letter in mail.outbox]
    assert (len(letters), len(bodies)) == (Notification.objects.count(),) * 2
    assert {letter.get_content_type() for letter in letters} == {"text/plain"}
    assert {name for letter in letters for name in letter} <= HEADERS
    assert {len(letter.get_all("to")) for letter in letters} == {1}


HEADERS = {
    "Content-Type", "MIME-Version", "Content-Transfer-Encoding", "Subject", "From", "To", "Date", "Message-ID",
    "Auto-Submitted",
}  # fmt: skip


@pytest.mark.threat("T5")
@pytest.mark.parametrize("text", [*TEXTS.values(), "\r\n\r\nevent: end\r\ndata: <i id=planted>\r\n\r\n"])
def test_a_frame_is_one_frame_without_an_element_of_it(text: str) -> None:
    drawing, sent = Drawing(uuid4()), []
    for at in range(0, len(text), 5):
        added = drawing.add(text[at : at + 5])
        sent.append({"text": added} if added else drawing.draw())
    for fields in sent:
        raw = streams.frame(b"1-0", {name.encode(): value.encode() for name, value in fields.items()}).decode()
        lines = raw.removesuffix("\n\n").split("\n")
        assert (lines[0], {line[:6] for line in lines[1:]}, "\r" in raw) == ("id: 1-0", {"data: "}, False)
        html = LexborHTMLParser("\n".join(line[6:] for line in lines[1:]))
        assert [html.css(one) for one in ("#planted", "script", "[onfocus]", "hx-partial hx-partial")] == [[]] * 4


@pytest.mark.threat("T5", "T6")
def test_an_answer_has_no_attribute_that_anything_acts_on() -> None:
    """Of 500 hostile answers: nothing of htmx, of Stimulus, of forms; no name, id, style or slot."""
    found: set[str] = set()
    for text in [*hostile_answers.answers(), *TEXTS.values()]:
        tree = LexborHTMLParser(markdown.answer(text))
        found |= {name for node in tree.root.traverse() for name in node.attributes if node.parent is not None}
    assert {name for name in found if name.startswith(("hx-", "data-", "on", "sse"))} <= {"data-language"}
    assert found & {"id", "name", "style", "is", "slot", "form", "src", "srcset", "ping"} == set()
    assert {"href", "class", "title"} <= found


@pytest.mark.threat("T5")
@pytest.mark.django_db
@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/", "//evil.example/", "/\\evil.example/", "\\\\evil.example", "javascript:alert(1)",
        "http:evil.example", "/\t/evil.example/", "https:///evil.example", " //evil.example/", "data:text/html,x",
        "/\r\nSet-Cookie: a=b", "http://testserver@evil.example/",
    ],
)  # fmt: skip
def test_nothing_leads_to_another_site(client: Any, owner: Any, to: str) -> None:
    htmx = {"HTTP_HX_REQUEST": "true", "HTTP_HX_CURRENT_URL": to}
    entry = {"username": "owner", "password": "correct horse battery", "next": to}
    answers = [client.get("/tuning/", **htmx), client.post("/accounts/sign-in/", entry)]
    client.force_login(owner)
    answers += [client.post("/preferences/", {"theme": "dark", "next": to}, HTTP_REFERER=to)]
    answers += [client.post("/settings/check/", {"next": to}), client.post("/notifications/read/", {"next": to})]
    answers += [client.get(f"/accounts/sign-in/?next={to}")]
    places = [answer.get(name, "/") for answer in answers for name in ("Location", "HX-Redirect")]
    assert [place for place in places if not leads_home(place)] == []


def leads_home(place: str) -> bool:
    return place.startswith("/") and not place.startswith(("//", "/\\")) and "\t" not in place and "\n" not in place
