"""chat/completions against servers that do not behave."""

import json
import resource
import threading
import time
from contextlib import suppress

import pytest

from jobs.vertex.errors import NotAuthorised, NotFound, OverQuota, Refused, Unavailable, VertexError
from jobs.vertex.sdk.chat.answers import Chat, _base
from jobs.vertex.sdk.chat.turns import chunks, refusal
from jobs.vertex.values import ChatChunk, ChatRequest
from tests.support.misbehaving_server import answer, bad_server, drop, error, hang, reset

ENDPOINT = "projects/garden-local/locations/us-central1/endpoints/endpoint-1"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
STOP = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


def request(**values):
    messages = [{"role": "user", "content": "Hello"}]
    return ChatRequest(**{"endpoint": ENDPOINT, "dedicated_dns": "", "messages": messages, "parameters": {}} | values)


def text(content):
    return {"choices": [{"delta": {"content": content}, "finish_reason": None}]}


def frames(*bodies, end="\n\n"):
    return "".join(f"data: {body if isinstance(body, str) else json.dumps(body)}{end}" for body in bodies).encode()


def stream(*parts, pause=0.0, head=HEAD):
    """Sends the parts one by one and closes."""

    def behave(connection):
        connection.sendall(head)
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        connection.shutdown(2)

    return behave


def for_ever(part, pause=0.0, head=HEAD):
    def behave(connection):
        connection.settimeout(5)
        with suppress(OSError):
            connection.sendall(head)
            while True:
                connection.sendall(part)
                time.sleep(pause)

    return behave


def read(settings, behave, **limits):
    with bad_server(behave) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        with Chat(**{"first": 5.0, "idle": 5.0, "total": 10.0} | limits).stream(request()) as chunks:
            return list(chunks)


def test_text_reason_and_usage(settings):
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    body = frames(text("Hel"), text("lo"), STOP, {"choices": [], "usage": usage}, "[DONE]")
    assert read(settings, stream(body)) == [
        ChatChunk("Hel"),
        ChatChunk("lo"),
        ChatChunk(finish_reason="stop"),
        ChatChunk(usage={"prompt_tokens": 3, "completion_tokens": 2}),
    ]


def test_what_is_asked(settings):
    with bad_server(stream(frames(STOP))) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        with Chat().stream(request(parameters={"temperature": 0.5, "stream": False})) as chunks:
            list(chunks)
    sent = server.requests[0]
    assert (sent.method, sent.path) == ("POST", f"/v1beta1/{ENDPOINT}/chat/completions")
    assert sent.json() == {
        "model": "",
        "messages": [{"role": "user", "content": "Hello"}],
        "temperature": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert "authorization" not in sent.headers


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n"])
def test_a_frame_may_be_cut_anywhere(settings, end):
    body = frames(text("für"), STOP, "[DONE]", end=end)
    parts = [body[index : index + 1] for index in range(len(body))]
    assert "".join(chunk.text for chunk in read(settings, stream(*parts))) == "für"


def test_comments_and_other_fields_are_passed_over(settings):
    body = b": ping\n\nevent: end\nid: 7\nretry: 1\n" + frames(text("a")) + b"event: hx\n\n" + frames(STOP)
    assert "".join(chunk.text for chunk in read(settings, stream(body))) == "a"


@pytest.mark.threat("T9")
def test_only_the_first_text_counts(settings):
    odd = [
        {"choices": [{"delta": {"content": ["x"]}}]},
        {"choices": [{"delta": "x"}]},
        {"choices": ["x"]},
        {"choices": {}},
        {"usage": {"prompt_tokens": "many"}},
        "null",
        "7",
    ]
    assert read(settings, stream(frames(*odd, STOP))) == [ChatChunk(finish_reason="stop")]


@pytest.mark.threat("T9")
def test_what_no_database_takes_is_replaced(settings):
    odd = {"choices": [{"delta": {"content": "a\x00\ud800"}, "finish_reason": "x" * 41}]}
    assert read(settings, stream(frames(odd))) == [ChatChunk(text="a?", finish_reason="x" * 40)]


@pytest.mark.threat("T9")
def test_broken_letters_are_replaced(settings):
    body = b'data: {"choices":[{"delta":{"content":"a\xff"}}]}\n\n' + frames(STOP)
    assert read(settings, stream(body))[0] == ChatChunk("a\ufffd")


LONG = b"data: " + b"x" * 65536
UNUSABLE = {
    "dropped": drop,
    "reset": reset,
    "cut before the end": stream(frames(text("a"))),
    "nothing": stream(),
    "a page": answer(200, b"<html>Hello</html>"),
    "not JSON": stream(frames("{nonsense")),
    "a deep nest": stream(frames("[" * 100_000)),
    "an endless line": for_ever(b"x" * 65536, head=HEAD + b"data: "),
    "an endless event": for_ever(b"data: " + b"x" * 1000 + b"\n"),
    "an endless answer": for_ever(frames(text("x" * 100_000))),
    "a redirect": answer(307, b"", "Location: http://127.0.0.1:1/"),
    "compressed": answer(200, b"\x1f\x8b", "Content-Encoding: gzip"),
    "endless headers": for_ever(b"X-A: " + b"x" * 1000 + b"\r\n", head=b"HTTP/1.1 200 OK\r\n"),
    "an error in the stream": stream(frames(text("a"), {"error": {"code": 503, "message": "restarting"}})),
    "an array of errors": answer(200, [{"error": {"code": 500, "status": "INTERNAL", "message": "boom"}}]),
    "an error without a form": stream(frames({"error": "boom"})),
    "500 with a page": answer(500, b"<html>"),
}


@pytest.mark.threat("T9")
@pytest.mark.parametrize("behaviour", UNUSABLE)
def test_an_unusable_answer_is_unavailable(settings, behaviour):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Unavailable):
        read(settings, UNUSABLE[behaviour])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


@pytest.mark.threat("T9")
@pytest.mark.parametrize(
    ("behaviour", "limits"),
    [
        (hang, {"first": 0.3}),
        (stream(frames(text("a")), b"", pause=1.0), {"idle": 0.3}),
        (for_ever(b"x", pause=0.05), {"first": 0.3}),
        (for_ever(b"X", pause=0.05, head=b"HTTP/1.1 200 OK\r\n"), {"first": 0.3}),
        (for_ever(frames(text("a")), pause=0.05), {"total": 0.3}),
        (for_ever(b": ping\n\n", pause=0.05), {"first": 0.3}),
    ],
    ids=["hang", "silence", "drip", "dripping headers", "no end", "pings only"],
)
def test_no_answer_outlasts_its_limits(settings, behaviour, limits):
    started = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        read(settings, behaviour, **limits)
    assert caught.value.code == "DEADLINE_EXCEEDED"
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("behaviour", "kind", "words"),
    [
        (error(404, "NOT_FOUND"), NotFound, "Deploy the model again"),
        (answer(429, {}, "Retry-After: 7"), OverQuota, "7 seconds"),
        (error(503, "UNAVAILABLE", "Loading model"), Unavailable, "is starting"),
        (error(503, "UNAVAILABLE", "no upstream"), Unavailable, "cannot answer now"),
        (error(403, "PERMISSION_DENIED"), NotAuthorised, "does not allow"),
        (answer(413, b""), Refused, "too large"),
        (
            error(400, "INVALID_ARGUMENT", "the request exceeds the available context size"),
            Refused,
            "exceeds this model's context window",
        ),
        (error(400, "INVALID_ARGUMENT", "image input is not supported"), Refused, "doesn't accept images"),
        (error(400, "INVALID_ARGUMENT", "temperature must be positive"), Refused, "temperature must be positive"),
        (answer(400, [{"error": {"code": 400, "message": "top_k"}}]), Refused, "top_k"),
    ],
)
def test_a_refusal_has_its_sentence(settings, behaviour, kind, words):
    with pytest.raises(kind) as caught:
        read(settings, behaviour)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (error(429, "RESOURCE_EXHAUSTED", "The following quotas are exceeded: X 8"), "QUOTA"),
        (error(429, "RESOURCE_EXHAUSTED", "Model is not yet ready for inference"), "COLD"),
        (error(429, "RESOURCE_EXHAUSTED", "Too many requests"), "RESOURCE_EXHAUSTED"),
        (error(400, "INVALID_ARGUMENT", "the request exceeds the available context size"), "CONTEXT_LENGTH"),
        (error(400, "INVALID_ARGUMENT", "The conversation has 9 tokens; this model takes 8."), "CONTEXT_LENGTH"),
        (error(400, "INVALID_ARGUMENT", "image input is not supported"), "NO_IMAGES"),
        (answer(413, b""), "NO_IMAGES"),
        (error(400, "INVALID_ARGUMENT", "tools: the chat template of this model knows no tools. Take"), "NO_TOOLS"),
        (error(400, "", '"auto" tool choice requires --enable-auto-tool-choice to be set'), "NO_TOOLS"),
        (error(400, "INVALID_ARGUMENT", "temperature must be positive"), "INVALID_ARGUMENT"),
        (error(404, "NOT_FOUND"), "NOT_FOUND"),
    ],
)
def test_a_refusal_has_the_code_that_its_next_step_goes_by(settings, behaviour, code):
    with pytest.raises(VertexError) as caught:
        read(settings, behaviour)
    assert caught.value.code == code


def test_a_refused_connection(settings):
    with bad_server(drop) as server:
        settings.VERTEX_API_ENDPOINT = server.address
    with pytest.raises(Unavailable), Chat().stream(request()):
        pass


def test_a_cut_wakes_the_reader_from_another_thread(settings):
    with bad_server(for_ever(frames(text("a")), pause=60)) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        asked = Chat().stream(request())
        with asked as chunks:
            assert next(chunks) == ChatChunk("a")
            threading.Timer(0.1, asked.cut).start()
            started = time.monotonic()
            with pytest.raises(Unavailable):
                next(chunks)
    assert time.monotonic() - started < 1


def test_one_thread_watches_all(settings):
    for _ in range(2):
        read(settings, stream(frames(STOP)))
    assert [thread.name for thread in threading.enumerate()].count("chat-watch") == 1


@pytest.mark.threat("T8")
@pytest.mark.parametrize(
    ("values", "base"),
    [
        ({}, "https://us-central1-aiplatform.googleapis.com"),
        (
            {"dedicated_dns": "1.us-central1-2.prediction.vertexai.goog"},
            "https://1.us-central1-2.prediction.vertexai.goog",
        ),
    ],
)
def test_where_google_is_asked(settings, values, base):
    settings.VERTEX_API_ENDPOINT = ""
    assert _base(request(**values)) == base


@pytest.mark.threat("T8")
@pytest.mark.parametrize(
    "values",
    [
        {"dedicated_dns": "evil.example"},
        {"dedicated_dns": "evil.example/.prediction.vertexai.goog"},
        {"dedicated_dns": "user@evil.example"},
        {"dedicated_dns": "127.0.0.1:80"},
        {"endpoint": "projects/p/locations/evil.example/endpoints/1"},
        {"endpoint": "projects/p/locations/us-central1/endpoints/../1"},
        {"endpoint": "endpoints/1"},
    ],
)
def test_the_token_goes_nowhere_else(settings, values):
    settings.VERTEX_API_ENDPOINT = ""
    with pytest.raises(Refused):
        _base(request(**values))


def test_parts_of_calls_are_read_sparingly():
    """Numbers out of range, arguments as an object and what is no call break nothing."""
    sent = [
        {"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a"'}},
        {"index": -5, "function": {"arguments": {"b": "\x00"}}},
        "call",
        {"function": None},
    ]
    text = json.dumps({"choices": [{"delta": {"tool_calls": sent}, "finish_reason": "tool_calls"}]})
    [chunk] = chunks([text])
    assert chunk.tool_calls == (
        {"index": 0, "id": "c1", "name": "f", "arguments": '{"a"'},
        {"index": 1, "id": "", "name": "", "arguments": '{"b": "\\u0000"}'},
        {"index": 2, "id": "", "name": "", "arguments": ""},
    )


def test_a_refusal_in_any_form_has_a_code_that_a_row_can_hold():
    long = refusal(405, json.dumps({"error": {"status": "X\x00" * 400, "message": "no"}}).encode())
    assert (type(long), long.code) == (Refused, "INVALID_ARGUMENT")
    assert refusal(405, b"[" * 60_000).code == "INVALID_ARGUMENT"
