import base64
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from jobs.localvertex.api.images import IMAGES, file_name_of
from jobs.localvertex.engine.job import JobError
from jobs.localvertex.engine.rows import parse_line, read_rows
from jobs.localvertex.engine.talk import Turn

USER_PART = [{"type": "text", "text": "Hi"}]
CONTENTS = [{"role": "user", "parts": [{"text": "H"}, {"text": "i"}]}, {"role": "model", "parts": [{"text": "Hello!"}]}]
ASKED = [Turn("user", "Hi"), Turn("assistant", "Hello!")]


def picture(kind: str, size: int = 40) -> str:
    content = io.BytesIO()
    Image.effect_noise((size, size), 50).save(content, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(content.getvalue()).decode()}"


def shown(url: str, role: str = "user", text: str = " What is it? ") -> str:
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]
    answer = {"role": "assistant", "content": "It is noise."}
    turns = [{"role": "user", "content": "Hi"}, answer] if role == "assistant" else []
    return json.dumps({"messages": [*turns[:1], {"role": role, "content": parts}, answer]})


def filed(uri: str | None) -> str:
    """Gemini's way to name a file."""
    parts = [{"text": "What is it?"}, {"fileData": {"mimeType": "image/png", "fileUri": uri}}]
    return json.dumps({"contents": [{"role": "user", "parts": parts}, CONTENTS[1]]})


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Hi", "completion": "Hello!"},
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]},
        {"messages": [{"role": "user", "content": USER_PART}, {"role": "model", "content": "Hello!"}]},
        {"contents": CONTENTS},
    ],
)
def test_three_formats_are_the_same_turns(row: object) -> None:
    assert parse_line(json.dumps(row)) == ASKED


def test_system_instruction_comes_first() -> None:
    row = {"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": CONTENTS}
    assert parse_line(json.dumps(row)) == [Turn("system", "Be brief."), *ASKED]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"prompt": "Hi"', "not valid JSON"),
        ("[1]", "a row must be a JSON object"),
        ('{"text": "Hi"}', 'a row needs "prompt" and "completion"'),
        ('{"messages": "Hi"}', '"messages" must be a list of objects'),
        ('{"messages": [{"role": "critic", "content": "Hi"}]}', "the role 'critic' is not one of"),
        ('{"messages": [{"role": "assistant", "content": "Hi"}]}', "turns must alternate"),
        ('{"messages": []}', "turns must alternate"),
        ('{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', "a part must be a text, or an image"),
        ('{"messages": [{"role": "user", "content": null}]}', "must be text or a list of parts"),
        (
            shown("http://127.0.0.1/cat.png"),
            "an image must be a data: URI or a gs:// path of an image; addresses are never",
        ),
        (shown("gs://b/cat.png"), "an image in a bucket (gs://b/cat.png) was not fetched"),
        (filed("https://127.0.0.1/cat.png"), "addresses are never fetched"),
        (filed(None), "a part must be a text, or an image"),
        (shown("data:image/png;base64,%%%"), "an image is not valid base64"),
        (shown(picture("GIF")), "an image is not a PNG, JPEG or WEBP image"),
        (shown(picture("PNG")[:-40]), "an image is broken and cannot be decoded"),
        (shown(picture("PNG"), role="assistant"), "only the user's messages may hold images"),
        (shown(picture("PNG"), text="<start_of_image>"), "stands for an image and cannot be written"),
        (shown(picture("PNG")), "this model reads text only"),
    ],
)
def test_bad_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "Hi", "completion": "Hello!"}\n\n' + line + "\n")
    with pytest.raises(JobError) as caught:
        read_rows(path, "training data")
    assert str(caught.value).startswith("Line 3 of the training data: ")
    assert problem in str(caught.value)


def test_all_bad_lines_are_named_so_that_they_can_be_left_out_at_once(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = '{"prompt": "Hi", "completion": "Hello!"}\n'
    path.write_text(good + "{}\n" + good + "[]\n")
    with pytest.raises(JobError) as caught:
        read_rows(path, "training data")
    first = 'Line 2 of the training data: a row needs "prompt" and "completion", or "messages", or "contents".'
    assert str(caught.value) == f"{first} Lines 2, 4 cannot be used."


def test_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "Hi", "completion": "Hello!"}', encoding="utf-8-sig")
    assert read_rows(path, "training data") == [ASKED]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n\n", "The training data has no rows."),
        (b"\xff\xfe", "The training data is not UTF-8 text. Save it as UTF-8 and try again."),
    ],
)
def test_unreadable_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(JobError) as caught:
        read_rows(path, "training data")
    assert str(caught.value) == message


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_image_stands_in_its_place(kind: str) -> None:
    url = picture(kind)
    content = base64.b64decode(url.partition(",")[2])
    assert parse_line(shown(url))[0] == Turn("user", "<start_of_image>What is it?", (content,))
    assert parse_line(shown(url))[0].characters == len("What is it?")


def test_gemini_s_inline_data_is_an_image() -> None:
    inline = {"inlineData": {"mimeType": "image/png", "data": picture("PNG").partition(",")[2]}}
    contents = [{"role": "user", "parts": [{"text": "What is it?"}, inline]}, CONTENTS[1]]
    asked = parse_line(json.dumps({"contents": contents}))[0]
    assert (asked.content, len(asked.images)) == ("What is it?<start_of_image>", 1)


@pytest.mark.parametrize("row", [shown("gs://b/cat.png"), filed("gs://b/cat.png")])
def test_image_of_a_bucket_lies_beside_the_rows(tmp_path: Path, row: str) -> None:
    content = base64.b64decode(picture("PNG").partition(",")[2])
    (tmp_path / IMAGES).mkdir()
    (tmp_path / IMAGES / file_name_of("gs://b/cat.png")).write_bytes(content)
    (tmp_path / "rows.jsonl").write_text(row)
    ((asked, _),) = read_rows(tmp_path / "rows.jsonl", "training data", images=True)
    assert (asked.images, asked.characters) == ((content,), len("What is it?"))
