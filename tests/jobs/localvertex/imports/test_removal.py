"""Imported models that are removed: from the catalogue and from the disk, or not at all."""

from pathlib import Path

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.imports.removal import remove
from jobs.localvertex.imports.shelf import Shelf
from tests.jobs.localvertex.imports.test_importer import MODEL, REPOSITORY, Here, here

__all__ = ["here"]


def unused(model: str) -> list[str]:
    return []


def files_of(data: Path) -> set[str]:
    """What lies there, except what is remembered of imports."""
    found = {path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith("imports/")}


def names_of(here: Here) -> tuple[list[str], list[str]]:
    return [one.id for one in here.catalogue.all()], [one.id for one in here.weights.all() if one.id.startswith("hf-")]


def test_it_leaves_the_catalogue_and_the_disk(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()
    made = here.data / "quantized/hf-acme--tiny-gemma@001/q8_0/model.gguf"
    made.parent.mkdir(parents=True)
    made.write_bytes(b"x" * 100)
    whole = sum(path.stat().st_size for path in here.data.rglob("*") if path.is_file() and "imports" not in path.parts)
    assert here.imports.measure(MODEL) == whole
    assert here.imports.remove(MODEL, unused) == whole
    assert names_of(here) == ([], [])
    assert files_of(here.data) == {"removed-models/hf-acme--tiny-gemma--001.json"}
    assert here.imports.measure(MODEL) == 0


def test_what_is_used_stays_and_the_use_is_named(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()
    before = files_of(here.data)
    with pytest.raises(ApiError) as found:
        here.imports.remove(MODEL, lambda model: [f"the endpoint of {model}", "the tuning job Ahoy"])
    assert found.value.status == "FAILED_PRECONDITION"
    assert found.value.message == (
        f"{MODEL} is used by the endpoint of {MODEL}, the tuning job Ahoy. Undeploy or cancel what uses it, or wait"
        " until that has ended, and remove the model then."
    )
    assert (names_of(here), files_of(here.data)) == (([MODEL], [MODEL]), before)
    assert here.weights.get(MODEL).state == "ready"


def test_nothing_begins_with_it_while_its_uses_are_looked_for(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()

    def begin(model: str) -> list[str]:
        with pytest.raises(ApiError, match="has no weights on this machine"):
            here.weights.get(model)
        return []

    assert here.imports.remove(MODEL, begin) > 0


def test_weights_that_are_being_made_ready_are_not_taken_away(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()
    here.weights.get(MODEL).state = "preparing"
    with pytest.raises(ApiError, match="is being made ready on this machine. Try again in a moment."):
        here.imports.remove(MODEL, unused)
    assert names_of(here) == ([MODEL], [MODEL])


@pytest.mark.parametrize("model", ["hf-acme/nothing@001", "google/gemma3@gemma-3-270m", "hf-a/../../../etc@001"])
def test_only_what_was_imported_is_removed(here, model):
    with pytest.raises(ApiError, match="only imported models can be removed"):
        here.imports.remove(model, unused)


class Cut(Shelf):
    """Where so many folders are moved, and then the disk can only be read."""

    def __init__(self, data: Path, moves: int) -> None:
        super().__init__(data)
        self.moves = moves

    def move(self, folder: Path, target: Path) -> None:
        if not self.moves:
            raise OSError(30, "Read-only file system")
        self.moves -= 1
        super().move(folder, target)


@pytest.mark.parametrize("moves", [0, 1])
def test_a_removal_that_fails_in_the_middle_leaves_the_whole_model(here, hub, tiny, moves):
    """The folder of the model is the last of two."""
    hub.add(REPOSITORY, tiny)
    here.run()
    (here.data / "quantized/hf-acme--tiny-gemma@001/q8_0").mkdir(parents=True)
    with pytest.raises(OSError, match="Read-only"):
        remove(MODEL, Cut(here.data, moves), here.weights, here.catalogue, unused)
    found = here.weights.get(MODEL)
    assert (names_of(here), found.servable, found.trainable, found.state) == (([MODEL], [MODEL]), True, True, "ready")
    again = Here(here.data)
    assert [one.id for one in again.weights.all() if one.id.startswith("hf-")] == [MODEL]
    assert not (here.data / "removed-models/hf-acme--tiny-gemma--001").exists()
    assert again.imports.remove(MODEL, unused) > 0


def test_what_a_removal_that_was_cut_off_left_goes_at_the_next_start(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()
    left = here.data / "removed-models/hf-acme--tiny-gemma--001/0"
    here.imports.remove(MODEL, unused)
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"x")
    again = Here(here.data)
    assert names_of(again) == ([], [])
    assert files_of(here.data) == {"removed-models/hf-acme--tiny-gemma--001.json"}


def test_the_same_files_get_their_number_again_and_no_others_do(here, hub, tiny):
    """Adapters name their base by it."""
    hub.add(REPOSITORY, tiny)
    here.run()
    here.imports.remove(MODEL, unused)
    hub.repositories[REPOSITORY].files["LICENSE"] = b"newer"
    assert here.run(id="import-2").model == "hf-acme/tiny-gemma@002"
    del hub.repositories[REPOSITORY].files["LICENSE"]
    assert here.run(id="import-3").model == MODEL
    assert here.weights.get(MODEL).servable
