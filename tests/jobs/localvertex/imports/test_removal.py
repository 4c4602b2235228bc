"""Imported models that are removed: from the catalogue and from the disk, or not at all."""

import json
import os
import resource
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.imports.removal import remove
from jobs.localvertex.imports.shelf import Shelf
from tests.jobs.localvertex.imports.test_importer import MODEL, REPOSITORY, Here, here
from tests.support.share import one_of

__all__ = ["here"]
FOLDER = "imported/hf-acme--tiny-gemma--001"
GOOGLES = "google/gemma3@gemma-3-27b-it"
Damage: TypeAlias = Callable[[Path], object]
NOBODY = 65534
LEFT = "imported/hf-acme--tiny-gemma--001~removed/origin.json"  # whose number it was


def list_nothing(model: str) -> list[str]:
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
    assert here.imports.remove(MODEL, list_nothing) == whole
    assert names_of(here) == ([], [])
    assert files_of(here.data) == {LEFT}
    assert here.imports.measure(MODEL) is None


def test_it_works_on_a_full_disk(here, hub, tiny):
    """Which it may be done for."""
    hub.add(REPOSITORY, tiny)
    here.run()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"), (here.data / "more").open("wb", buffering=0) as file:
            file.write(b"x")
        freed = here.imports.remove(MODEL, list_nothing)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (freed > 0, names_of(here), files_of(here.data)) == (True, ([], []), {LEFT, "more"})


def test_it_is_measured_while_files_come_and_go(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()
    whole, is_over = here.imports.measure(MODEL), threading.Event()
    path = here.data / "imported/hf-acme--tiny-gemma--001/partial"

    def come_and_go() -> None:
        while not is_over.is_set():
            path.touch()
            path.unlink()

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(come_and_go)
        try:
            found = {here.imports.measure(MODEL) for _ in range(2000)}
        finally:
            is_over.set()
    assert (found, ended.exception()) == ({whole}, None)


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


def is_found(here: Here) -> bool:
    return here.weights.find(MODEL) is not None


def test_its_uses_are_looked_for_again_once_nothing_can_begin_with_it(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()
    seen = []

    def list_uses(model: str) -> list[str]:
        seen.append(is_found(here))
        return [] if seen == [True] else ["the tuning job Ahoy"]

    with pytest.raises(ApiError, match="is used by the tuning job Ahoy"):
        here.imports.remove(MODEL, list_uses)
    assert (seen, is_found(here)) == ([True, False], True)


def test_what_waits_for_it_finds_it_while_a_removal_is_refused(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()
    seen = []

    def list_uses(model: str) -> list[str]:
        seen.append(is_found(here))
        return ["the tuning job Ahoy"]

    with pytest.raises(ApiError, match="is used by the tuning job Ahoy"):
        here.imports.remove(MODEL, list_uses)
    assert seen == [True]


def test_of_two_removals_at_the_same_time_one_finds_nothing(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()
    others: list[Future[int]] = []

    def remove_too(model: str) -> list[str]:
        if not others:
            others.append(pool.submit(here.imports.remove, model, list_nothing))
        return []

    with ThreadPoolExecutor(1) as pool:
        assert here.imports.remove(MODEL, remove_too) > 0
    error = others[0].exception()
    assert isinstance(error, ApiError)
    assert (error.status, error.message) == ("NOT_FOUND", f"The model {MODEL} is not found.")


def test_weights_that_are_being_made_ready_are_not_taken_away(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()
    here.weights.get(MODEL).state = "preparing"
    with pytest.raises(ApiError, match="is being made ready on this machine. Try again in a moment."):
        here.imports.remove(MODEL, list_nothing)
    assert names_of(here) == ([MODEL], [MODEL])


def delete(*names: str) -> Damage:
    return lambda folder: [(folder / name).unlink() for name in names]


def write(name: str, text: str) -> Damage:
    return lambda folder: (folder / name).write_text(text)


def put_a_file_in_its_place(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("x")


DEEP = "[" * 100_000
DAMAGES: dict[str, tuple[Damage, str]] = {
    "no config": (delete("config.json", "model.gguf"), "its folder holds neither model.gguf nor config.json"),
    "a config of nothing": (write("config.json", "{"), ""),
    "a config of nothing alone": (lambda folder: [delete("model.gguf")(folder), write("config.json", DEEP)(folder)],
                                  "config.json cannot be read."),
    "no weights": (delete("model.safetensors", "model.gguf"), "model.safetensors is missing."),
    "no card": (delete("model-card.json"), "model-card.json cannot be read: No such file or directory."),
    "a card of nothing": (write("model-card.json", DEEP), "model-card.json cannot be read: it is no JSON object."),
    "a card of a number": (write("model-card.json", '{"display_name": 7}'), "model-card.json is not as it was written"),
    "a card of strange terms": (write("model-card.json", '{"licence": {"a": 1}}'), "model-card.json is not as it was"),
    "no origin": (delete("origin.json"), "origin.json cannot be read: No such file or directory."),
    "an origin of nothing": (write("origin.json", DEEP), "origin.json cannot be read: it is no JSON object."),
    "an origin of another": (write("origin.json", json.dumps({"id": GOOGLES})), "origin.json is of another model."),
    "an empty folder": (lambda folder: [shutil.rmtree(folder), folder.mkdir()], "origin.json cannot be read"),
    "a file in its place": (put_a_file_in_its_place, "origin.json cannot be read: Not a directory."),
}  # fmt: skip


@pytest.mark.parametrize("name", one_of(3, DAMAGES))
def test_a_damaged_model_is_removed(here, hub, tiny, name):
    """Also after a restart, when it is listed with what is the matter with it, and can be nothing but removed."""
    damage, why = DAMAGES[name]
    hub.add(REPOSITORY, tiny)
    here.run()
    damage(here.data / FOLDER)
    shutil.copytree(here.data, copy := here.data.with_name("copy"))
    again = Here(copy)
    found = again.weights.get(MODEL)
    assert (why in found.message, found.servable or found.trainable) == (True, not why)
    assert again.weights.find(GOOGLES) is None
    again.catalogue.add(MODEL, found.card, tunable=found.can_train)
    assert (again.catalogue.get(MODEL).tuning is None) == bool(why)
    for one in (here, again):
        assert one.imports.remove(MODEL, list_nothing) >= 0
        assert (names_of(one), files_of(one.data) - {LEFT}) == (([], []), set())
    assert again.run(id="import-2").state == "DONE"


def test_a_model_whose_folder_was_deleted_is_removed_from_the_catalogue(here, hub, tiny):
    """And its number is nobody's: whether other weights are the same is not known."""
    hub.add(REPOSITORY, tiny)
    here.run()
    shutil.rmtree(here.data / FOLDER)
    assert (here.imports.measure(MODEL), here.imports.remove(MODEL, list_nothing)) == (0, 0)
    assert names_of(here) == ([], [])
    assert here.run(id="import-2").model == "hf-acme/tiny-gemma@002"


@contextmanager
def as_owner(data: Path) -> Iterator[None]:
    """Whom permissions bind, as they do not bind root."""
    if os.geteuid() != 0:
        yield
        return
    give_away(data)
    with as_user():
        yield


def give_away(data: Path) -> None:
    for path in [data, *data.rglob("*")]:
        os.chown(path, NOBODY, -1)


@contextmanager
def as_user() -> Iterator[None]:
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_here():
    """Where every user can enter, which is not so for `tmp_path`."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        found = Here(Path(made) / "data")
        yield found
        found.imports.stop()


def test_a_model_in_folders_that_can_only_be_read_is_removed(open_here, hub, tiny):
    here = open_here
    hub.add(REPOSITORY, tiny)
    here.run()
    (inner := here.data / FOLDER / "inner").mkdir()
    (inner / "file").write_text("x")
    for path in [*inner.iterdir(), inner, here.data / FOLDER]:
        path.chmod(0o500)
    with as_owner(here.data):
        freed = here.imports.remove(MODEL, list_nothing)
    assert (freed > 0, files_of(here.data)) == (True, {LEFT})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
@pytest.mark.parametrize("mode", [0o000, 0o100, 0o400])
def test_a_model_in_a_folder_of_somebody_else_is_listed_and_removed(open_here, hub, tiny, mode):
    """Such as one that root has copied there: it kept the server from starting, and its removal ended half way."""
    here = open_here
    hub.add(REPOSITORY, tiny)
    here.run()
    give_away(here.data)
    os.chown(here.data / FOLDER, 0, 0)
    (here.data / FOLDER).chmod(mode)
    with as_user():
        here.imports.look_again()
        again = Here(here.data)
        for one in (here, again):
            found = one.weights.get(MODEL)
            assert (one.imports.measure(MODEL), found.can_serve, found.can_train) == (0, False, False)
            assert "origin.json cannot be read: Permission denied." in found.message
            assert one.catalogue.find(MODEL) is None or one.catalogue.get(MODEL).machines == ()
        assert (here.imports.remove(MODEL, list_nothing), names_of(here)) == (0, ([], []))
        assert names_of(Here(here.data)) == ([], [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_what_an_earlier_removal_could_not_delete_is_named(open_here, hub, tiny):
    here = open_here
    hub.add(REPOSITORY, tiny)
    here.run()
    left = here.data / f"{FOLDER}~removed"
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"x")
    give_away(here.data)
    os.chown(left, 0, 0)
    with as_user(), pytest.raises(ApiError, match="which an earlier removal left, cannot be deleted. Remove it by"):
        here.imports.remove(MODEL, list_nothing)
    assert (names_of(here), here.weights.get(MODEL).state) == (([MODEL], [MODEL]), "ready")


@pytest.mark.parametrize("model", ["hf-acme/nothing@001", "google/gemma3@gemma-3-270m", "hf-a/../../../etc@001"])
def test_only_what_was_imported_is_removed(here, model):
    here.catalogue.add(model, {})
    with pytest.raises(ApiError, match="only imported models can be removed"):
        here.imports.remove(model, list_nothing)


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
        remove(MODEL, Cut(here.data, moves), here.weights, here.catalogue, list_nothing)
    found = here.weights.get(MODEL)
    assert (names_of(here), found.servable, found.trainable, found.state) == (([MODEL], [MODEL]), True, True, "ready")
    again = Here(here.data)
    assert [one.id for one in again.weights.all() if one.id.startswith("hf-")] == [MODEL]
    assert list(here.data.rglob("*~removed")) == []
    again.catalogue.add(MODEL, {})
    assert again.imports.remove(MODEL, list_nothing) > 0


def test_what_a_removal_that_was_cut_off_left_goes_at_the_next_start(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()
    here.imports.remove(MODEL, list_nothing)
    for left in ("imported/hf-acme--tiny-gemma--001~removed", "quantized/hf-acme--tiny-gemma@001~removed/q8_0"):
        (here.data / left).mkdir(parents=True, exist_ok=True)
        (here.data / left / "model.safetensors").write_bytes(b"x")
    again = Here(here.data)
    assert names_of(again) == ([], [])
    assert files_of(here.data) == {LEFT}


def test_the_same_files_get_their_number_again_and_no_others_do(here, hub, tiny):
    """Adapters name their base by it."""
    hub.add(REPOSITORY, tiny)
    here.run()
    here.imports.remove(MODEL, list_nothing)
    hub.repositories[REPOSITORY].files["LICENSE"] = b"newer"
    assert here.run(id="import-2").model == "hf-acme/tiny-gemma@002"
    del hub.repositories[REPOSITORY].files["LICENSE"]
    assert here.run(id="import-3").model == MODEL
    assert here.weights.get(MODEL).servable


def test_a_number_that_nobody_knows_of_any_more_is_not_given_again(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()
    here.imports.remove(MODEL, list_nothing)
    (here.data / LEFT).write_text("{")
    assert here.run(id="import-2").model == "hf-acme/tiny-gemma@002"


def test_the_same_import_that_is_asked_for_again_brings_it_back(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()
    here.imports.remove(MODEL, list_nothing)
    assert here.start().state == "RUNNING"
    assert here.wait().model == MODEL
    assert here.weights.get(MODEL).servable
