"""The three formats of a tuning row, read as chat turns: prompt/completion, messages, and Gemini's contents."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobs.localvertex.api.images import (
    IMAGES,
    ImageError,
    data_of,
    decode_base64,
    file_name_of,
    is_stored,
    open_image,
    place_of,
)
from jobs.localvertex.engine.job import JobError
from jobs.localvertex.engine.talk import (
    CallError,
    Talk,
    Turn,
    answers_in_parts,
    calls_in_parts,
    calls_of,
    tools_of,
)

MOST_NAMED = 500
ROLES = {"system": "system", "user": "user", "assistant": "assistant", "model": "assistant", "tool": "tool"}
IMAGE = "<start_of_image>"
NO_TOOLS = (
    "tools: the chat template of this model knows no tools. Take tools and tool_calls out, or choose a model whose"
    " template has them"
)
NO_IMAGES = "this model reads text only: take the images out, or choose a model that reads images"
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP")
Fetch = Callable[[str], bytes]  # what a gs:// path holds; raises ImageError


class RowError(ValueError):
    pass


def turn(role: Any, content: Any, fetch: Fetch) -> Turn:
    if role not in ROLES:
        raise RowError(f"the role {role!r} is not one of system, user, assistant, model or tool")
    if isinstance(content, str):
        return Turn(ROLES[role], content)
    if not isinstance(content, list):
        raise RowError("the content of a message must be text or a list of parts")
    parts = [part_of(part, fetch) for part in content]
    images = tuple(part for part in parts if isinstance(part, bytes))
    if not images:
        return Turn(ROLES[role], "".join(part for part in parts if isinstance(part, str)))
    return turn_with_images(ROLES[role], parts, images)


def turn_with_images(role: str, parts: list[str | bytes], images: tuple[bytes, ...]) -> Turn:
    """Each text is trimmed by itself, as the chat template does it to a list of parts."""
    if role != "user":
        raise RowError("only the user's messages may hold images")
    content = "".join(part.strip() if isinstance(part, str) else IMAGE for part in parts)
    if content.count(IMAGE) != len(images):
        raise RowError(f"{IMAGE} stands for an image and cannot be written in a text beside one")
    return Turn(role, content, images)


def part_of(part: Any, fetch: Fetch) -> str | bytes:
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        text: str = part["text"]
        return text
    image = isinstance(part, dict) and (read_image(part, fetch) or inline_data(part))
    if not image:
        raise RowError("a part must be a text, or an image (image_url or fileData with a data: URI or a gs:// path)")
    return image


def read_image(part: dict[str, Any], fetch: Fetch) -> bytes | None:
    place = place_of(part)
    if place is None:
        return None
    return check_image(lambda: fetch(str(place)) if is_stored(place) else data_of(place))


def inline_data(part: dict[str, Any]) -> bytes | None:
    """Gemini's way to write an image."""
    inline = part.get("inlineData", part.get("inline_data"))
    if not isinstance(inline, dict) or not isinstance(inline.get("data"), str):
        return None
    return check_image(lambda: decode_base64(inline["data"]))


def check_image(read: Callable[[], bytes]) -> bytes:
    """Decodes it once, so that a broken image is found now and not at step 400."""
    try:
        content = read()
        open_image(content, IMAGE_FORMATS).load()
    except ImageError as error:
        raise RowError(f"an image {error}") from None
    except (OSError, SyntaxError, ValueError):
        raise RowError("an image is broken and cannot be decoded") from None
    return content


def no_buckets(uri: str) -> bytes:
    raise ImageError(f"in a bucket ({uri}) was not fetched")


def beside(rows: Path) -> Fetch:
    """Pictures in buckets were fetched before the training, into a folder beside its rows."""

    def fetch(uri: str) -> bytes:
        path = rows.parent / IMAGES / file_name_of(uri)
        return path.read_bytes() if path.is_file() else no_buckets(uri)

    return fetch


def objects(row: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = row[key]
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise RowError(f'"{key}" must be a list of objects')
    return found


def turns_of_contents(row: dict[str, Any], fetch: Fetch) -> list[Turn]:
    system = row.get("systemInstruction", row.get("system_instruction"))
    parts = system.get("parts") if isinstance(system, dict) else system
    opening = [turn("system", parts, fetch)] if parts else []
    return opening + [said for item in objects(row, "contents") for said in turns_of_content(item, fetch)]


def turns_of_content(item: dict[str, Any], fetch: Fetch) -> list[Turn]:
    """One; or one for each answer of a tool."""
    parts, role = item.get("parts"), item.get("role", "user")
    if answers := answers_in_parts(parts):
        return answers
    calls = calls_in_parts(parts)
    if not calls:
        return [turn(role, parts, fetch)]
    rest = [part for part in parts or [] if "functionCall" not in part]
    return [replace(turn(role, rest, fetch), calls=calls)]


def turn_of_message(item: dict[str, Any], fetch: Fetch) -> Turn:
    calls, content = calls_of(item), item.get("content")
    said = turn(item.get("role"), "" if calls and content is None else content, fetch)
    name = str(item.get("name") or "") if said.role == "tool" else ""
    return replace(said, calls=calls, name=name) if calls or name else said


def turns_of(row: Any, fetch: Fetch) -> list[Turn]:
    if not isinstance(row, dict):
        raise RowError("a row must be a JSON object")
    if "messages" in row:
        return [turn_of_message(item, fetch) for item in objects(row, "messages")]
    if "contents" in row:
        return turns_of_contents(row, fetch)
    if "prompt" in row and "completion" in row:
        return [turn("user", row["prompt"], fetch), turn("assistant", row["completion"], fetch)]
    raise RowError('a row needs "prompt" and "completion", or "messages", or "contents"')


def check_order(turns: list[Turn]) -> None:
    spoken = turns[1:] if turns and turns[0].role == "system" else turns
    before = "assistant"
    for number, item in enumerate(spoken):
        if item.role == "tool" and (before == "tool" or (number and spoken[number - 1].calls)):
            before = "tool"
        elif item.role == ("user" if before == "assistant" else "assistant"):
            before = item.role
        else:
            raise RowError("turns must alternate between user and assistant, starting with user; tools answer calls")
    if not spoken:
        raise RowError("turns must alternate between user and assistant, starting with user")


def parse_line(line: str, fetch: Fetch = no_buckets) -> Talk:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise RowError(f"not valid JSON ({error})") from error
    try:
        turns = turns_of(row, fetch)
        check_order(turns)
        return Talk(turns, tools_of(row))
    except CallError as error:
        raise RowError(str(error)) from None


def read_rows(path: Path, what: str, images: bool = False, tools: bool = False) -> list[Talk]:
    """`what` names the file in messages, for example "training data"; `images`: the model reads them; `tools`: its
    chat template knows them."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise JobError(f"The {what} is not UTF-8 text. Save it as UTF-8 and try again.") from error
    except OSError as error:
        raise JobError(f"The {what} cannot be read: {error.strerror}.", "INTERNAL") from error
    rows, problems = [], dict[int, str]()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append(parse_line(line, beside(path)))
            if not images and any(turn.images for turn in rows[-1]):
                raise RowError(NO_IMAGES)
            if not tools and rows[-1].uses_tools:
                raise RowError(NO_TOOLS)
        except RowError as error:
            problems[number] = str(error)
            if len(problems) == MOST_NAMED:
                break
    if problems:
        raise JobError(name_problems(problems, what))
    if not rows:
        raise JobError(f"The {what} has no rows.")
    return rows


def name_problems(problems: dict[int, str], what: str) -> str:
    """The first in full, and the lines of all, so that they can be left out at once."""
    first = min(problems)
    sentence = f"Line {first} of the {what}: {problems[first]}."
    if len(problems) == 1:
        return sentence
    return f"{sentence} Lines {', '.join(map(str, problems))} cannot be used."
