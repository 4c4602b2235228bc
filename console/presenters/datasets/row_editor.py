"""One row in an editor: as a form with its turns, or as JSON, with what was typed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from jobs import errors
from jobs.models import Dataset
from jobs.services.datasets.edits import pending, row_form
from jobs.services.datasets.file import Line
from jobs.services.datasets.preview import ShownRow, preview_row
from jobs.services.datasets.rows import read_json

Save = Callable[[bytes, str], object]
AS_JSON, AS_FORM = "as-json", "as-form"


@dataclass
class RowEditor:
    """`seen` is the fingerprint of the row that was opened. `base` is the row that the form shows, and comes back with
    it: whatever becomes of the kept row meanwhile, nothing that was typed is lost. A row that is too long has none, and
    cannot get turns. `now`: the row as another tab left it."""

    kept: bytes
    seen: str
    value: dict[str, Any] = field(default_factory=dict)
    as_json: bool = False
    text: str = ""
    base: str = ""
    problems: list[tuple[str, str]] = field(default_factory=list)
    now: ShownRow | None = None

    @property
    def turns(self) -> list[dict[str, Any]]:
        problems: dict[str, list[str]] = {}
        for name, sentence in self.problems:
            problems.setdefault(name, []).append(sentence)
        turns = row_form.turns_of(self.value)
        return [
            {"turn": turn, "role_problems": problems.get(turn.role_name, []) if turn.role_name else [],
             "fields": [{"field": one, "problems": problems.get(one.name, [])} for one in turn.texts]}
            for turn in turns
        ]  # fmt: skip

    @property
    def has_form(self) -> bool:
        return bool(row_form.kind_of(self.value))

    @property
    def can_add_turns(self) -> bool:
        return bool(self.base) and row_form.kind_of(self.value) in row_form.ROLES

    @property
    def has_system(self) -> bool:
        return row_form.has_system(self.value)


def open_row(kept: bytes, *, as_json: bool = False) -> RowEditor:
    text = kept.decode("utf-8", "replace")
    value, complaint = read_json(text)
    editor = RowEditor(kept, pending.fingerprint(kept), {} if complaint else value)
    editor.base = _base_of(editor.value)
    if as_json or not editor.has_form:
        _show_json(editor, kept)
    return editor


def _base_of(value: dict[str, Any]) -> str:
    data = row_form.dump(value) if value else b""
    return data.decode() if len(data) <= pending.LONGEST_EDITED else ""


def new_row(dataset: Dataset) -> RowEditor:
    return open_row(row_form.dump(row_form.empty_row(dataset.format)))


def read_sent(kept: bytes, sent: Mapping[str, str]) -> RowEditor:
    """With what was typed, and one turn more or less where that was asked for."""
    editor = open_row(kept)
    editor.seen = sent.get("seen", "")[:64]
    if sent.get("as") == "json":
        _read_json_sent(editor, sent)
        return editor
    base, complaint = read_json(sent.get("base", ""))
    base = editor.value if complaint or not row_form.kind_of(base) else base
    editor.value = row_form.with_texts(base, sent)
    if editor.base:
        editor.value = row_form.change_turns(editor.value, sent.get("do", ""))
    editor.base, editor.as_json = _base_of(editor.value), not row_form.kind_of(base)
    if sent.get("do") == AS_JSON:
        _show_json(editor, _data_of(editor))
    return editor


def _read_json_sent(editor: RowEditor, sent: Mapping[str, str]) -> None:
    editor.as_json, editor.text = True, sent.get("json", "")
    if sent.get("do") != AS_FORM:
        return
    value, complaint = read_json(row_form.line_of(editor.text).decode())
    if complaint:
        editor.problems.append(("", f"{complaint.problem} {complaint.remedy}"))
    elif not row_form.kind_of(value):
        editor.problems.append(("", _("This row has no turns that a form can show. Edit it as JSON.")))
    else:
        editor.as_json, editor.value, editor.base = False, value, _base_of(value)


def _data_of(editor: RowEditor) -> bytes:
    """What was not changed stays as it is, byte for byte."""
    kept = open_row(editor.kept)
    if editor.as_json:
        was = row_form.fit_for_form(editor.kept.decode("utf-8", "replace"))
        is_same = row_form.fit_for_form(editor.text).strip() == was.strip()
        return editor.kept if is_same else row_form.line_of(editor.text)
    return editor.kept if editor.value == kept.value else row_form.dump(editor.value)


def _show_json(editor: RowEditor, data: bytes) -> None:
    editor.as_json = True
    if len(data) > pending.LONGEST_EDITED:
        words = {"most": pending.LONGEST_EDITED // 2**20}
        sentence = _("This row is longer than %(most)d MB, so it can't be edited as JSON here. Edit it in the file.")
        editor.problems.append(("", sentence % words))
    else:
        editor.text = row_form.fit_for_form(data.decode("utf-8", "replace"))


def wants_saving(sent: Mapping[str, str]) -> bool:
    return sent.get("do", "") in ("", "save")


def save_row(editor: RowEditor, save: Save, look: Callable[[], bytes]) -> bool:
    """False: the editor has the problems, and after a conflict the row as it is now."""
    try:
        save(_data_of(editor), editor.seen)
    except errors.InvalidValues as error:
        editor.problems += [(problem.field, problem.sentence) for problem in error.problems]
    except pending.RowConflict as error:
        now = look()
        editor.problems.append(("", str(error)))
        editor.now, editor.seen = preview_row(Line(1, now)), pending.fingerprint(now)
    except errors.NotAllowedNow as error:
        editor.problems.append(("", str(error)))
    return not editor.problems
