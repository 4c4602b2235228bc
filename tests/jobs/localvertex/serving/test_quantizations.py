"""Files of a model in several precisions: which are offered, and that each is made once."""

import os
import shlex
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.models.containers import CONTEXT_TOKENS
from jobs.localvertex.models.conversion import Converter
from jobs.localvertex.models.weights import Weights, from_folder
from jobs.localvertex.serving.quantizations import Quantizations, own_kind
from jobs.localvertex.serving.speeds import Speeds
from jobs.localvertex.storage.buckets import Buckets, Location
from tests.jobs.localvertex.servers import BUCKET, FAKE_ENGINE, ROOT, TINY_FOLDER, LocalVertex

GB = 10**9
SEES = ROOT / "jobs/localvertex/models/shapes_and_colours"


class Disk(NamedTuple):
    total: int
    used: int
    free: int


class CountingConverter(Converter):
    """Runs the fake engine, and notes what it was asked for."""

    def __init__(self) -> None:
        super().__init__(shlex.split(FAKE_ENGINE))
        self.kinds: list[str] = []

    def run(self, folder: Path, target: Path, stopped: Any, kind: str) -> None:
        self.kinds.append(kind)
        super().run(folder, target, stopped, kind)


def stay() -> bool:
    return False


@pytest.fixture
def converter() -> CountingConverter:
    return CountingConverter()


def make(
    tmp_path: Path, converter: Converter, budget: int = 10 * GB, storage: str = "", disk: Disk | None = None
) -> Quantizations:
    folder, speeds = tmp_path / "quantized", Speeds(tmp_path / "speeds.json")
    measure: Callable[[Path], Any] = (lambda _folder: disk) if disk else shutil.disk_usage
    return Quantizations(folder, converter, Buckets(storage), speeds, budget, measure)


@pytest.fixture
def sees(tmp_path: Path) -> Weights:
    """Its own file is Q8_0, and its Hugging Face files are what it was published as."""
    return from_folder("samples/shapes@shapes", SEES, tmp_path / "made")


def test_what_was_published_as_hugging_face_files_is_offered_in_all_precisions(
    tmp_path: Path, converter: CountingConverter, sees: Weights
) -> None:
    found = make(tmp_path, converter)
    found.speeds.keep("samples/shapes@shapes q8_0", 812.5)
    offers = found.list_offers(sees)
    assert [(one.kind, one.is_default, one.tokens_per_second) for one in offers] == [
        ("q4_k_m", False, None), ("q8_0", True, 812.5), ("f16", False, None),
    ]  # fmt: skip
    q8_0 = offers[1]
    assert (q8_0.size, q8_0.memory) == (988_352, found.find_needs(sees, "")[CONTEXT_TOKENS])
    assert [one.memory - one.size for one in offers] == [q8_0.memory - q8_0.size] * 3


def test_a_smaller_kind_and_a_shorter_context_take_less(
    tmp_path: Path, converter: CountingConverter, sees: Weights
) -> None:
    """Of files that are not there yet, too."""
    found = make(tmp_path, converter)
    smallest, own, exact = found.list_offers(sees)
    assert list(found.find_needs(sees, "f16", 4096)) == [4096, 2048, 1024, 512]
    needs = [found.find_needs(sees, kind)[2048] for kind in ("q4_k_m", "", "f16")]
    assert [need - needs[1] for need in needs] == [smallest.size - own.size, 0, exact.size - own.size]
    assert found.find_needs(sees, "q4_k_m")[512] < found.find_needs(sees, "q4_k_m")[8192]
    assert found.list_needs(sees) == {kind: found.find_needs(sees, kind) for kind in ("q4_k_m", "q8_0", "f16")}
    assert found.find_needs(sees, "q2_k") == {}


def test_a_file_of_few_bits_is_offered_as_it_is_only(tmp_path: Path, converter: CountingConverter) -> None:
    (tmp_path / "hf").mkdir()
    shutil.copy(SEES / "model.gguf", tmp_path)
    shutil.copy(SEES / "model.safetensors", tmp_path / "hf")
    weights = Weights("a/b@c", tmp_path / "hf", tmp_path / "model.gguf")  # as a package's: hf is made from gguf
    found = make(tmp_path, converter)
    assert [(one.kind, one.is_default) for one in found.list_offers(weights)] == [("q8_0", True)]
    assert (found.choose(weights, ""), found.choose(weights, "q8_0")) == ("", "")
    with pytest.raises(ApiError) as refused:
        found.choose(weights, "f16")
    assert refused.value.message == (
        "a/b@c cannot be served in F16: on this machine it is there as Q8_0 only, and fewer bits of what has few"
        " already lose too much."
    )


def test_where_the_own_file_does_not_fit_a_smaller_one_is_served(
    tmp_path: Path, converter: CountingConverter, sees: Weights
) -> None:
    offers = make(tmp_path, converter).list_offers(sees)
    found = make(tmp_path, converter, budget=offers[0].memory)
    assert found.choose(sees, "") == "q4_k_m"
    assert make(tmp_path, converter, budget=1).choose(sees, "") == "q4_k_m"


def test_before_it_is_made_ready_its_file_is_what_is_made_then(tmp_path: Path, converter: CountingConverter) -> None:
    shutil.copytree(SEES, tmp_path / "plain", ignore=shutil.ignore_patterns("*.gguf"))
    weights = from_folder("a/b@c", tmp_path / "plain", tmp_path / "made")
    found = make(tmp_path, converter)
    assert own_kind(weights) is None
    assert [(one.kind, one.memory, one.is_default) for one in found.list_offers(weights)] == [
        ("q4_k_m", 0, False), ("q8_0", 0, False), ("f16", 0, True),
    ]  # fmt: skip
    assert (found.choose(weights, ""), found.choose(weights, "q8_0")) == ("", "q8_0")


def test_two_that_want_one_file_wait_for_one_conversion(
    tmp_path: Path, converter: CountingConverter, sees: Weights
) -> None:
    found = make(tmp_path, converter)
    several = [threading.Thread(target=found.make, args=(sees, "f16", stay)) for _ in range(3)]
    for one in several:
        one.start()
    for one in several:
        one.join(60)
    assert converter.kinds == ["f16"]
    assert found.find(sees, "f16").read_bytes() == b"converted"
    assert {one.kind: one.size for one in found.list_offers(sees)}["f16"] == len(b"converted")


def upload(server: LocalVertex, folder: str, *names: str) -> Location:
    for name in names:
        server.upload(f"{folder}/{name}", (TINY_FOLDER / name).read_bytes())
    return Location(BUCKET, folder)


def test_a_model_of_a_bucket_is_converted_once_for_all_that_serve_it(
    tmp_path: Path, converter: CountingConverter, bucket_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket_address)
    storage = LocalVertex(tmp_path, bucket_address)
    source = upload(storage, "whole-a", "config.json", "model.safetensors")
    copy = upload(storage, "whole-b", "config.json", "model.safetensors")
    found = make(tmp_path, converter, storage=bucket_address)
    kinds = [
        found.make_whole(place, asked, tmp_path / name, stay)
        for place, asked, name in ((source, "", "one"), (copy, "", "two"), (source, "q8_0", "three"))
    ]
    assert (kinds, converter.kinds) == (["f16", "f16", "q8_0"], ["f16", "q8_0"])
    assert [os.stat(tmp_path / name / "model.gguf").st_nlink for name in ("one", "two", "three")] == [3, 3, 2]
    storage.upload("whole-a/config.json", "{}")
    found.make_whole(source, "", tmp_path / "four", stay)
    assert converter.kinds == ["f16", "q8_0", "f16"]


class AnyNames(Buckets):
    """As a bucket of Google's may be: the emulator keeps objects in folders, where some names cannot be."""

    def __init__(self, *names: str) -> None:
        super().__init__("")
        self.names = names

    def list_files(self, place: Location) -> dict[str, tuple[int, str]]:
        return dict.fromkeys(self.names, (1, "x"))

    def download(self, place: Location, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("{}")


@pytest.mark.parametrize("name", ["", "/{}/escaped", "../../../../../escaped"])
def test_of_a_bucket_only_the_files_of_the_folder_itself_are_written(
    name: str, tmp_path: Path, converter: CountingConverter
) -> None:
    """A folder has an object of its own where somebody made it empty; other names are paths elsewhere."""
    buckets = AnyNames("config.json", "model.safetensors", name.format(tmp_path))
    found = Quantizations(tmp_path / "quantized", converter, buckets, Speeds(tmp_path / "speeds.json"), 10 * GB)
    found.make_whole(Location(BUCKET, "any"), "f16", tmp_path / "one", stay)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "quantized"]
    assert (tmp_path / "one" / "model.gguf").read_bytes() == b"converted"


def test_a_full_disk_loses_what_nobody_serves_and_then_refuses(
    tmp_path: Path, converter: CountingConverter, bucket_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket_address)
    storage = LocalVertex(tmp_path, bucket_address)
    source = upload(storage, "whole-c", "config.json", "model.safetensors")
    found = make(tmp_path, converter, storage=bucket_address)
    found.make_whole(source, "f16", tmp_path / "served", stay)
    found.make_whole(source, "q8_0", tmp_path / "gone", stay)
    shutil.rmtree(tmp_path / "gone")
    full = make(tmp_path, converter, storage=bucket_address, disk=Disk(0, 0, 0))
    with pytest.raises(ApiError, match=r"takes about \d+ MB of disk space, and 0 MB are free"):
        full.make_whole(source, "q4_k_m", tmp_path / "new", stay)
    assert [path.parent.name for path in (tmp_path / "quantized").glob("buckets/*/*/model.gguf")] == ["f16"]
    assert full.make_whole(source, "f16", tmp_path / "again", stay) == "f16"  # is there, takes nothing


class Vanishing(Weights):
    """Taken away as soon as somebody has seen for the last time of `left` that the file is there."""

    left = 0

    @property
    def servable(self) -> bool:
        found = super().servable
        self.left -= 1
        if self.left == 0:
            self.gguf.unlink()
        return found


@pytest.mark.parametrize(("left", "kinds"), [(1, [""]), (2, ["q8_0"]), (3, ["q8_0"])])
def test_weights_that_are_removed_while_they_are_listed(
    tmp_path: Path, converter: CountingConverter, left: int, kinds: list[str]
) -> None:
    """After which they are no more."""
    shutil.copyfile(SEES / "model.gguf", tmp_path / "model.gguf")
    weights = Vanishing("local/tiny@tiny", tmp_path / "none", tmp_path / "model.gguf")
    weights.left = left
    found = make(tmp_path, converter)
    assert [offer.kind for offer in found.list_offers(weights)] == kinds
    assert list(found.list_needs(weights).values()) in ([], [{}])
