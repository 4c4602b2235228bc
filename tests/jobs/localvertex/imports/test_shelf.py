"""Imported models whose files are damaged, or put back, while the server runs and while it does not."""

import shutil
from typing import TypeAlias

import pytest

from tests.jobs.localvertex.imports.conftest import make_gguf
from tests.jobs.localvertex.imports.test_importer import MODEL, REPOSITORY, Here, here
from tests.jobs.localvertex.imports.test_removal import FOLDER, LEFT, list_nothing

__all__ = ["here"]
State: TypeAlias = tuple[bool, bool, bool, list[str]]


def describe(here: Here) -> State:
    """Whether it can be served and tuned, by its weights and by the catalogue."""
    model, found = here.catalogue.get(MODEL), here.weights.get(MODEL)
    return found.can_serve, found.can_train, model.tuning is not None, [one.machine_type for one in model.machines]


WHOLE: State = (True, True, True, ["local-cpu"])
SERVED: State = (True, False, False, ["local-cpu"])
USELESS: State = (False, False, False, [])


def restart(here: Here) -> Here:
    again = Here(here.data)
    weights = again.weights.get(MODEL)
    again.catalogue.add(MODEL, weights.card, tunable=weights.can_train, images=weights.images)
    if weights.can_serve:
        again.catalogue.with_machine(MODEL, here.catalogue.get(MODEL).machines[0])
    return again


def test_weights_that_are_deleted_and_put_back_while_the_server_runs(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()
    folder, aside = here.data / FOLDER, here.data / "aside"
    before = here.weights.get(MODEL)
    here.imports.look_again()
    assert (here.weights.get(MODEL) is before, describe(here)) == (True, WHOLE)
    aside.mkdir()
    for name in ("model.safetensors", "model.gguf"):
        shutil.move(folder / name, aside / name)
    here.imports.look_again()
    assert describe(here) == USELESS
    assert (
        here.catalogue.get(MODEL).summary
        == here.weights.get(MODEL).message
        == ("The files of this model are damaged: model.safetensors is missing. Remove the model, and import it again.")
    )
    for name in ("model.safetensors", "model.gguf"):
        shutil.move(aside / name, folder / name)
    here.imports.look_again()
    assert (describe(here), here.weights.get(MODEL).state) == (WHOLE, "ready")
    assert here.catalogue.get(MODEL).display_name == "Tiny-Gemma"


@pytest.mark.parametrize("with_note", [True, False])
def test_weights_that_were_deleted_beside_the_file_that_was_made_of_them(here, hub, tiny, with_note):
    hub.add(REPOSITORY, tiny)
    here.run()
    if not with_note:  # as earlier versions left it
        origin = here.data / FOLDER / "origin.json"
        origin.write_text(origin.read_text().partition(', "sizes"')[0] + "}")
    (here.data / FOLDER / "model.safetensors").unlink()
    here.imports.look_again()
    for one in (here, restart(here)):
        assert describe(one) == SERVED
        assert one.catalogue.get(MODEL).summary == (
            "Imported from Hugging Face. Its files are damaged: model.safetensors is missing. It can be deployed, but"
            " not tuned. Remove it and import it again."
        )


def test_a_file_of_a_model_of_one_gguf_that_was_cut_off(here, hub, tmp_path):
    whole = make_gguf(tmp_path, "falcon")  # which is made ready for nothing
    hub.add(REPOSITORY, {"tiny-q8_0.gguf": whole})
    here.run()
    (here.data / FOLDER / "model.gguf").write_bytes(whole[:-1])
    here.imports.look_again()
    for one in (here, restart(here)):
        assert describe(one) == USELESS
        assert (
            f"model.gguf has {len(whole) - 1:,} bytes and came with {len(whole):,}." in one.weights.get(MODEL).message
        )


def test_what_was_imported_by_an_earlier_version_gets_its_number_again(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()
    here.imports.remove(MODEL, list_nothing)
    left = here.data / LEFT
    left.write_text(left.read_text().partition(', "sizes"')[0] + "}")
    assert here.run(id="import-2").model == MODEL


def test_a_corrected_template_is_no_damage(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()
    (here.data / FOLDER / "chat_template.jinja").write_text("{{ messages }}")
    here.imports.look_again()
    assert (describe(here), describe(restart(here))) == (WHOLE, WHOLE)


def test_what_is_being_made_ready_is_looked_at_later(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()
    (here.data / FOLDER / "config.json").unlink()
    (here.data / FOLDER / "model.gguf").unlink()
    here.weights.get(MODEL).state = "preparing"
    here.imports.look_again()
    assert here.weights.get(MODEL).state == "preparing"
    here.weights.get(MODEL).state = "ready"
    here.imports.look_again()
    assert describe(here) == USELESS
