"""What is said of a model before it is imported, and while it is on its way."""

from collections.abc import Iterator
from typing import Any

from django.contrib.auth.models import User
from django.urls import reverse
from django.utils.translation import gettext as _

from console.forms.catalogue_import import ImportForm, TokenForm
from jobs import tasks
from jobs.errors import NotAllowedNow
from jobs.models import ModelImport, ModelImportState as State, PublisherModel
from jobs.services.catalogue import policies
from jobs.services.catalogue.hub import imports

from .removal import removal_url

SHOWN = 20
# Licences by their names at Hugging Face, and what they keep a person from.
NOT_FOR_BUSINESS = ("cc-by-nc", "-nc-", "non-commercial", "noncommercial", "research", "openrail-m-nc")
NOT_TO_CHANGE = ("-nd",)


def page_of(user: User, form: ImportForm | None = None) -> dict[str, Any]:
    rows = ModelImport.objects.visible_to(user)[:SHOWN]
    return {
        "form": form or ImportForm(),
        "why_not": policies.why_not_import(user),
        "rows": [(row, state_words(row)) for row in rows],
    }


def begin(user: User, form: ImportForm) -> ModelImport | None:
    """None with the reason in the form."""
    if not form.is_valid():
        return None
    values = form.cleaned_data
    try:
        row = imports.begin(user, values["source"], revision=values["revision"], token=values["token"])
    except NotAllowedNow as error:
        form.add_error(None, str(error))
        return None
    enqueue(row)
    return row


def enqueue(row: ModelImport) -> None:
    tasks.enqueue_after_commit(tasks.advance_model_import, import_id=str(row.pk))


def context_of(row: ModelImport, problem: str = "", token_form: TokenForm | None = None) -> dict[str, Any]:
    is_busy = row.state in (State.LOOKING, State.WAITING, State.REMOVING)
    model = _model_of(row)
    return {
        "row": row,
        "is_busy": is_busy,
        "problem": problem,
        "words": state_words(row),
        "notes": list(notes_of(row)) if row.facts else [],
        "no_room": why_no_room(row) if row.state == State.FOUND else "",
        "token_form": token_form or TokenForm(),
        "model_url": _url_of(model),
        "remove_url": removal_url(row.owner, model) if model else "",
    }


def why_no_room(row: ModelImport) -> str:
    """Nothing while one of several files would fit."""
    others = [policies.why_no_room(row, one["name"]) for one in row.choices]
    return "" if others and not all(others) else policies.why_no_room(row)


def _model_of(row: ModelImport) -> PublisherModel | None:
    """None until the catalogue has it."""
    return PublisherModel.objects.only_listed().filter(name=row.model).first() if row.model else None


def _url_of(model: PublisherModel | None) -> str:
    if model is None:
        return ""
    return f"{reverse('model-detail', args=[model.publisher, model.family])}?variant={model.version}"


def state_words(row: ModelImport) -> str:
    if row.state == State.LOOKING:
        return _("Reading what the repository holds…")
    if row.state == State.REMOVING:
        return _("Removing the model…")
    if row.state != State.WAITING:
        return str(State(row.state).label)
    stages = {
        "fetching": _("Downloading…"),
        "checking": _("Checking the files…"),
        "converting": _("Converting the weights for serving…"),
    }
    return stages.get(row.stage, _("Waiting for the server…"))


def notes_of(row: ModelImport) -> Iterator[tuple[str, str]]:
    """Kind and sentence of each that helps to decide."""
    facts = row.facts
    if facts.get("model") and row.state == State.FOUND:
        yield "warn", _("These files are here already, as %s.") % facts["model"]
    if facts.get("gated"):
        yield (
            "",
            _("Its publisher grants access to each person separately. You also accept the licence here to deploy it."),
        )
    yield from _licence_notes(str(facts.get("licence", "")).lower(), is_local=bool(facts.get("is_local")))
    if not facts.get("tunable") and not facts.get("file"):
        yield "warn", _("This version of the console can't tune models of this family.")
    if facts.get("file"):
        yield "", _("A GGUF file can be deployed. It can be tuned if its family and quantization are known here.")
    if facts.get("chat_template") is False:
        yield (
            "warn",
            _(
                "It has no chat template: it was trained to continue text. You can import and tune it. Until it's"
                " tuned, it answers poorly in a chat."
            ),
        )


def _licence_notes(licence: str, *, is_local: bool) -> Iterator[tuple[str, str]]:
    if not licence and not is_local:
        yield "warn", _("Its publisher names no licence. Ask the publisher before you use the model.")
    if any(word in licence for word in NOT_FOR_BUSINESS):
        yield "warn", _("Its licence forbids commercial use. Read it before you go on.")
    if any(word in licence for word in NOT_TO_CHANGE):
        yield "warn", _("Its licence forbids sharing changed versions, and a tuned model is one.")
