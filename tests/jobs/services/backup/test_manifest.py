"""A zip that somebody made by hand is refused in a sentence, and costs no more than was written into it."""

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from jobs.services.backup.archive import Reader
from jobs.services.backup.manifest import BackupUnusable

GOOD = {"migrations": [["jobs", "0001_initial"]], "version": "1", "created": "", "database": "sqlite", "members": {}}
MEMBER = {"size": 3, "sha256": "0"}


def zipped(path: Path, manifest: str, members: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (members or {}).items():
            archive.writestr(name, content)
        archive.writestr("manifest.json", manifest)
    return path


def reason(path: Path) -> str:
    try:
        with Reader.open(path) as reader:
            reader.verify()
            list(reader.names("data"))
    except BackupUnusable as refusal:
        return str(refusal)
    return ""


@pytest.mark.parametrize("content", ["", "[]", "{}", "1", '"text"', "null", "\0", "[" * 100_000, "9" * 5000])
def test_what_is_no_manifest_at_all(tmp_path: Path, content: str) -> None:
    path = zipped(tmp_path / "backup.zip", content)
    assert reason(path) == f"{path} is not a backup of a console: it has no readable manifest."


@pytest.mark.parametrize(
    "change",
    [
        {"members": []}, {"members": {"a": 1}}, {"members": {"a": {}}}, {"members": {"a": MEMBER | {"size": "3"}}},
        {"members": {"a": MEMBER | {"size": -3}}}, {"members": {"a": MEMBER | {"size": True}}},
        {"members": {"a": MEMBER | {"size": 3.0}}}, {"members": {"a": MEMBER | {"sha256": None}}}, {"members": None},
        {"migrations": 1}, {"migrations": [1]}, {"migrations": [["jobs"]]}, {"migrations": [["jobs", {}]]},
        {"migrations": None}, {"tables": []}, {"tables": {"a": 1}}, {"tables": {"a": "text"}}, {"tables": {"a": [1]}},
        {"version": None}, {"version": "\x1b[31m"}, {"database": ["sqlite"]}, {"created": 1}, {"format": "x"},
        {"format": None}, {"format": True}, {"unknown": 1},
    ],
)  # fmt: skip
def test_a_value_of_another_type(tmp_path: Path, change: dict[str, Any]) -> None:
    path = zipped(tmp_path / "backup.zip", json.dumps(GOOD | change))
    assert reason(path) == f"{path} is not a backup of a console: it has no readable manifest."


def test_a_newer_format_says_so_whatever_else_it_has(tmp_path: Path) -> None:
    path = zipped(tmp_path / "backup.zip", json.dumps(GOOD | {"format": 2, "version": "9.0", "unknown": 1}))
    assert reason(path) == "This backup is from version 9.0, which is newer than this one. Install that version."


def test_a_member_is_not_read_beyond_its_size(tmp_path: Path) -> None:
    manifest = json.dumps(GOOD | {"members": {"data/x": {"size": 10, "sha256": "0"}}})
    path = zipped(tmp_path / "backup.zip", manifest, {"data/x": b"\0" * 50_000_000})
    read: list[int] = []
    with pytest.raises(BackupUnusable, match="data/x differs from what was written"), Reader.open(path) as reader:
        reader.verify(lambda done, total: read.append(done))
    assert read == []


def test_a_manifest_that_fills_the_memory_is_not_read(tmp_path: Path) -> None:
    path = zipped(tmp_path / "backup.zip", json.dumps(GOOD) + " " * 3_000_000)
    assert reason(path).endswith("it has no readable manifest.")


def test_a_manifest_of_many_members_with_long_names_is_read(tmp_path: Path) -> None:
    members = {f"data/{number:05}{'ä' * 200}": b"" for number in range(3000)}
    empty = {"size": 0, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
    manifest = json.dumps(GOOD | {"members": dict.fromkeys(members, empty)}, indent=1)
    with Reader.open(zipped(tmp_path / "backup.zip", manifest, members)) as reader:
        reader.verify()
        assert len(list(reader.names("data"))) == 3000


def changed(path: Path, mark: bytes, offset: int, value: bytes) -> Path:
    """With other bytes after each such mark."""
    content = bytearray(path.read_bytes())
    start = content.find(mark)
    while start != -1:
        content[start + offset : start + offset + len(value)] = value
        start = content.find(mark, start + 1)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("mark", "offset", "value"),
    [
        (b"PK\x01\x02", 8, struct.pack("<H", 1)),  # encrypted
        (b"PK\x01\x02", 10, struct.pack("<H", 99)),  # compressed in a way that nobody knows
        (b"PK\x01\x02", 6, struct.pack("<H", 99)),  # for a newer program
        (b"PK\x01\x02", 42, struct.pack("<I", 2**31)),  # begins after the end
        (b"PK\x05\x06", 16, struct.pack("<I", 2**31)),  # an index after the end
    ],
)
def test_a_zip_that_nobody_can_unpack(tmp_path: Path, mark: bytes, offset: int, value: bytes) -> None:
    path = zipped(tmp_path / "backup.zip", json.dumps(GOOD))
    assert "is not a backup of a console" in reason(changed(path, mark, offset, value))


def test_a_member_whose_bytes_are_no_compression(tmp_path: Path) -> None:
    manifest = json.dumps(GOOD | {"members": {"data/x": {"size": 9000, "sha256": "0"}}})
    path = zipped(tmp_path / "backup.zip", manifest, {"data/x": b"x" * 9000})
    content = path.read_bytes()
    start = content.index(b"data/x") + len(b"data/x")
    path.write_bytes(content[:start] + b"\xff" * 10 + content[start + 10 :])
    assert reason(path).startswith("The backup is damaged: data/x cannot be read.")


@pytest.mark.parametrize("name", ["data/./x", "data//x", "data/x/", "data/", "data/x/../y", "data/.", "data/x\0y"])
def test_a_place_that_is_written_in_another_way(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path / "backup.zip", json.dumps(GOOD | {"members": {name: MEMBER}}))
    with pytest.raises(BackupUnusable, match="contains a path outside its folder"), Reader.open(path) as reader:
        list(reader.names("data"))


def test_a_name_that_is_no_text_writes_nothing_on_a_terminal(tmp_path: Path) -> None:
    path = zipped(tmp_path / "backup.zip", json.dumps(GOOD | {"members": {"data/\ud800\x1b[31m": MEMBER}}))
    assert reason(path) == ("The backup is damaged: 'data/\\ud800\\x1b[31m' cannot be read. Use another backup.")
