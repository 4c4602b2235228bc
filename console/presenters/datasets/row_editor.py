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
    """`seen` is the fingerprint of the row that is edited. `base` is the row with the turns of the form, where they
    are not those of the kept row. `now`: the row as another tab left it."""

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
        return row_form.kind_of(self.value) in row_form.ROLES

    @property
    def has_system(self) -> bool:
        return row_form.has_system(self.value)


def open_row(kept: bytes, *, as_json: bool = False) -> RowEditor:
    text = kept.decode("utf-8", "replace")
    value, complaint = read_json(text)
    editor = RowEditor(kept, pending.fingerprint(kept), {} if complaint else value)
    if as_json or not editor.has_form:
        _show_json(editor, kept)
    return editor


def new_row(dataset: Dataset) -> RowEditor:
    return open_row(row_form.dump(row_form.empty_row(dataset.format)))


def read_sent(kept: bytes, sent: Mapping[str, str]) -> RowEditor:
    """With what was typed, and one turn more or less where that was asked for."""
    editor = open_row(kept)
    editor.seen = sent.get("seen", "")[:64]
    if sent.get("as") == "json":
        data = row_form.line_of(sent.get("json", ""))
        editor.as_json, editor.text = True, sent.get("json", "")
        value, complaint = read_json(data.decode())
        if sent.get("do") == AS_FORM and not complaint and row_form.kind_of(value):
            editor.as_json, editor.value, editor.base = False, value, data.decode()
        return editor
    base, complaint = read_json(sent.get("base", "")) if sent.get("base") else (editor.value, None)
    base = editor.value if complaint or not row_form.kind_of(base) else base
    typed = row_form.with_texts(base, sent)
    editor.as_json = not row_form.kind_of(base)
    editor.value = row_form.change_turns(typed, sent.get("do", ""))
    if editor.value != typed or sent.get("base"):
        editor.base = row_form.dump(editor.value).decode()
    if sent.get("do") == AS_JSON:
        _show_json(editor, row_form.dump(editor.value) if editor.value != open_row(kept).value else kept)
    return editor


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
    unchanged = not editor.as_json and not editor.base and editor.value == open_row(editor.kept).value
    data = row_form.line_of(editor.text) if editor.as_json else row_form.dump(editor.value)
    if editor.as_json and editor.text.strip() == row_form.fit_for_form(editor.kept.decode("utf-8", "replace")).strip():
        unchanged = True
    try:
        save(editor.kept if unchanged else data, editor.seen)
    except errors.InvalidValues as error:
        editor.problems += [(problem.field, problem.sentence) for problem in error.problems]
    except pending.RowConflict as error:
        now = look()
        editor.problems.append(("", str(error)))
        editor.now, editor.seen = preview_row(Line(1, now)), pending.fingerprint(now)
    except errors.NotAllowedNow as error:
        editor.problems.append(("", str(error)))
    return not editor.problems
