"""Folders of this machine: what leads out of them, what is no file, and what changes while it is read."""

import os

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.imports.folder import copy_file, list_folder
from jobs.localvertex.imports.source import LocalFiles


def refusal(path) -> str:
    with pytest.raises(ApiError) as found:
        list_folder(LocalFiles(path))
    return found.value.message


def nothing(_count: int) -> None:
    pass


def test_what_lies_in_a_folder_is_listed(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "sub").mkdir()
    (tmp_path / "linked.json").symlink_to("config.json")
    listing = list_folder(LocalFiles(tmp_path))
    assert [one.name for one in listing.files] == ["config.json", "linked.json"]
    assert listing.texts == {"config.json": b"{}"}


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "config.json").symlink_to(tmp_path / "secret")
    assert "is a link out of the folder. Copy the folder with its files (cp -rL)" in refusal(folder)


def test_what_is_no_plain_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "model.safetensors")
    assert "is no plain file. Remove it from the folder." in refusal(tmp_path)


def test_what_is_not_there_or_no_model_is_a_sentence(tmp_path):
    for name in ("nothing", "x" * 300, "x" * 300 + ".gguf"):
        assert "is not there, on the machine of the local Vertex AI" in refusal(tmp_path / name)
    (tmp_path / "note.txt").write_text("x")
    assert "is no GGUF file" in refusal(tmp_path / "note.txt")
    (tmp_path / "broken").symlink_to("gone")
    assert "is not there" in refusal(tmp_path)


def test_a_file_that_changes_between_looking_and_reading_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    source = LocalFiles(tmp_path)
    one = list_folder(source).files[0]
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ApiError, match="changed while it was read"):
        copy_file(source, one, tmp_path / "copy", nothing)


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path):
    path, copy = tmp_path / "model.safetensors", tmp_path / "copy"
    path.write_bytes(b"x" * 1000)
    source = LocalFiles(tmp_path)
    (one,) = list_folder(source).files
    with pytest.raises(ApiError, match="changed while it was read"):
        copy_file(source, one, copy, lambda _count: path.write_bytes(b"y" * 1000) and None)


def test_a_gguf_file_alone_is_a_model(tmp_path):
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"GGUF")
    (tmp_path / "config.json").write_text("{}")
    assert [one.name for one in list_folder(LocalFiles(path)).files] == ["tiny.gguf"]
