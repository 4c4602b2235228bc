"""Rows of a batch in each of the three shapes that Google documents, and the lines that are written for them."""

import json
from dataclasses import dataclass, field
from typing import Any

from jobs.localvertex.api.errors import ApiError, invalid
from jobs.localvertex.api.wire import Json, now, with_whole_numbers

CONTENTS, CHAT, INSTANCE = "contents", "chat", "instance"  # of generateContent, of OpenAI's batches, of :predict
DROPPED = ("method", "url")  # of OpenAI's batches, which Google leaves out
LONGEST_LINE = 10 * 1024 * 1024
REASONS = {"INVALID_ARGUMENT": "Bad Request", "FAILED_PRECONDITION": "Bad Request", "NOT_FOUND": "Not Found"}


@dataclass(frozen=True)
class Fields:
    """`instanceConfig`: which fields of a row are the instance. A key is told instead of the instance."""

    key: str = ""
    included: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def choose(self, row: Json) -> Json:
        kept = {name: value for name, value in row.items() if name != self.key and name not in self.excluded}
        return {name: kept[name] for name in self.included if name in kept} if self.included else kept


@dataclass(frozen=True)
class Row:
    """`problem` is what is wrong with the line itself; nothing is asked then."""

    number: int
    value: Any
    shape: str = INSTANCE
    asked: Json = field(default_factory=dict)
    problem: ApiError | None = None


def parse_row(number: int, line: bytes, fields: Fields) -> Row:
    if len(line) > LONGEST_LINE:
        return Row(number, None, problem=invalid(f"The row has more than {LONGEST_LINE} bytes."))
    text = line.decode("utf-8", "replace")
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        return Row(number, text, problem=invalid(f"The row is not valid JSON: {error}"))
    if not isinstance(value, dict):
        return Row(number, value, problem=invalid("The row must be a JSON object."))
    if isinstance(value.get("request"), dict):
        return Row(number, value, CONTENTS, value["request"])
    if isinstance(value.get("body"), dict):
        return Row(number, value, CHAT, value["body"])
    return Row(number, value, INSTANCE, with_whole_numbers(fields.choose(value)))


def build_line(row: Row, answer: Any, error: ApiError | None, fields: Fields) -> Json:
    """What is written for it. Rows for `generateContent` keep their errors beside the others, in `status`."""
    if row.shape == CONTENTS:
        told = "" if error is None else f"{REASONS.get(error.status, error.status)}: {json.dumps(error.envelope())}"
        found = {"status": told, "processed_time": now().isoformat(timespec="milliseconds"), **row.value}
        return {**found, "response": {} if error else answer}
    failure = None if error is None else {"code": error.grpc_code, "message": error.message}
    if row.shape == CHAT:
        kept = {name: value for name, value in row.value.items() if name not in DROPPED}
        return {**kept, "error": failure} if failure else {**kept, "id": answer.get("id", ""), "response": answer}
    shown = {"key": row.value[fields.key]} if _has_key(row, fields) else {"instance": row.value}
    return {**shown, "error": failure} if failure else {**shown, "prediction": answer}


def _has_key(row: Row, fields: Fields) -> bool:
    return bool(fields.key) and isinstance(row.value, dict) and fields.key in row.value


def choose_file_name(shape: str, *, is_error: bool) -> str:
    """Instances have the names of custom models' batches."""
    if shape == CONTENTS:
        return "predictions.jsonl"
    if shape == CHAT:
        return "errors.jsonl" if is_error else "predictions.jsonl"
    return f"prediction.{'errors_stats' if is_error else 'results'}-00000-of-00001"
