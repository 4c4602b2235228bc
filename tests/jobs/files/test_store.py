"""What every backend promises, asked of each: the folder, Google Cloud Storage and S3."""

import io
import os
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.utils import timezone

from jobs.files import store
from jobs.files.remote import PIECE

LARGE = 4 * PIECE + 12345
BAD = ["../secret-key", "pictures/../../secret-key", "/etc/passwd", "datasets", "datasets//a", "datasets/a/../../b", ""]


def fresh(folder: str = "datasets") -> str:
    return f"{folder}/{uuid4()}.jsonl"


def lines(size: int) -> bytes:
    row = b'{"prompt": "Ahoy", "completion": "%09d"}\n'
    made = b"".join(row % number for number in range(size // len(row % 0) + 1))
    return made[:size]


def keep(name: str, content: bytes) -> None:
    with store.draft(name) as draft:
        draft.write_bytes(content)
        store.keep(draft, name)


def drafts(data_dir: Path) -> list[Path]:
    return list(data_dir.rglob("*.partial"))


def test_what_was_saved_is_read_and_replaced_and_deleted(files: str) -> None:
    name = f"pictures/ab/{uuid4().hex}"
    for content in (b"one", b"another", b""):
        store.save(name, content)
        assert (store.read(name), store.size(name), store.exists(name)) == (content, len(content), True)
    store.delete(name)
    assert (store.size(name), store.exists(name)) == (None, False)
    store.delete(name)


def test_what_is_not_there_is_an_error(files: str) -> None:
    with pytest.raises(FileNotFoundError):
        store.open_file(fresh())
    with pytest.raises(FileNotFoundError):
        store.read(fresh())
    with pytest.raises(FileNotFoundError), store.local_copy(fresh()):
        pass


@pytest.mark.threat("T13")
@pytest.mark.parametrize("name", BAD)
def test_no_name_leads_outside(files: str, data_dir: Path, name: str) -> None:
    (data_dir / "secret-key").write_text("secret")
    with pytest.raises(FileNotFoundError):
        store.open_file(name)
    with pytest.raises(FileNotFoundError):
        store.save(name, b"mine")
    store.delete(name)
    assert not store.exists(name)
    assert (data_dir / "secret-key").read_text() == "secret"


def test_a_large_file_is_whole_and_read_by_line_from_any_place(files: str) -> None:
    name, content = fresh(), lines(LARGE)
    keep(name, content)
    assert store.size(name) == LARGE
    with store.open_file(name) as file:
        assert file.readlines() == io.BytesIO(content).readlines()
        assert (file.seek(PIECE - 5), file.read(10)) == (PIECE - 5, content[PIECE - 5 : PIECE + 5])
        assert (file.seek(-7, os.SEEK_END), file.read(), file.read()) == (LARGE - 7, content[-7:], b"")
        assert (file.seek(0), file.read()) == (0, content)


def test_a_draft_is_seen_by_nobody_and_gone_afterwards(files: str, data_dir: Path) -> None:
    name = fresh()
    with store.draft(name) as draft:
        draft.write_bytes(b"half")
        assert draft.stat().st_mode & 0o777 == 0o600
        assert not store.exists(name)
        store.keep(draft, name)
    assert (store.read(name), drafts(data_dir)) == (b"half", [])


def test_what_fails_leaves_the_file_as_it_was(files: str, data_dir: Path) -> None:
    name = fresh()
    store.save(name, b"before")
    with store.draft(name) as draft:
        draft.unlink()
        with pytest.raises(FileNotFoundError):
            store.keep(draft, name)
    assert (store.read(name), drafts(data_dir)) == (b"before", [])


def test_everything_below_a_folder_is_found_with_its_size_and_time(files: str) -> None:
    folder = f"pictures/x{uuid4().hex}"
    names = {f"{folder}/{part}/{number}" for part in ("ab", "cd") for number in range(3)}
    for name in names:
        store.save(name, b"four")
    store.save(f"{folder}-other/a", b"not below it")
    found = list(store.walk(folder))
    assert ({each.name for each in found}, {each.size for each in found}) == (names, {4})
    assert all(abs(timezone.now() - each.modified) < timedelta(minutes=5) for each in found)
    assert list(store.walk(f"{folder}/none")) == []


def test_a_program_gets_a_path_that_is_gone_when_it_was_a_copy(files: str, data_dir: Path) -> None:
    name, content = fresh(), lines(PIECE + 1)
    store.save(name, content)
    with store.local_copy(name) as path:
        assert path.read_bytes() == content
        assert path.stat().st_mode & 0o777 == 0o600
    assert path.exists() == (files == "folder")
    assert (store.read(name), drafts(data_dir)) == (content, [])


def test_where_they_lie_is_told_without_how_to_get_there(files: str) -> None:
    places = {"folder": "", "google": "gs://console-files/some/folder", "s3": "s3://console-files/some/folder"}
    assert store.place() == places[files]


def test_two_processes_may_write_the_same_picture(files: str) -> None:
    name = f"pictures/ab/{uuid4().hex}"
    with store.draft(name) as one, store.draft(name) as other:
        one.write_bytes(b"same")
        other.write_bytes(b"same")
        store.keep(one, name)
        store.keep(other, name)
    assert store.read(name) == b"same"
