"""Folders of imported models: the names that they have, and what lies there by itself."""

import pytest

from jobs.localvertex.imports.places import empty, measure, name_folder, parse_name


@pytest.mark.parametrize("id", ["hf-acme/tiny-gemma@001", "local/my--model@012", "hf-a/b.c_d@001"])
def test_the_name_of_a_folder_tells_the_model(id):
    assert parse_name(name_folder(id)) == id


@pytest.mark.parametrize("name", [".DS_Store", "lost+found", "a--b", "a b--c--d", "--a--b", "hf-a--b--001~removed"])
def test_what_somebody_else_put_there_is_no_model(name):
    assert parse_name(name) == ""


def test_what_is_emptied_keeps_one_file_and_follows_no_link(tmp_path):
    (outside := tmp_path / "outside").mkdir()
    (outside / "precious").write_text("x")
    (place := tmp_path / "place").mkdir()
    for name in ("kept", "other"):
        (place / name).write_text(name)
    (place / "link").symlink_to(outside)
    empty(place, "kept")
    assert ([path.name for path in place.iterdir()], (outside / "precious").is_file()) == (["kept"], True)


def test_a_file_where_a_folder_should_be_becomes_an_empty_one(tmp_path):
    (place := tmp_path / "place").write_text("four")
    assert measure(place) == 4
    empty(place)
    assert (place.is_dir(), measure(place)) == (True, 0)


def test_of_a_link_to_a_folder_only_the_link_is_deleted(tmp_path):
    (outside := tmp_path / "outside").mkdir()
    (outside / "precious").write_text("four")
    outside.chmod(0o500)
    (place := tmp_path / "place").symlink_to(outside)
    assert measure(place) == place.lstat().st_size
    empty(place)
    left = [path.name for path in outside.iterdir()], outside.stat().st_mode & 0o777
    assert (place.is_symlink(), list(place.iterdir()), left) == (False, [], (["precious"], 0o500))
