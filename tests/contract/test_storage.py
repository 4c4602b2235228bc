import os

import pytest

from jobs.vertex.errors import NotFound
from tests.contract.conftest import BUCKET


def test_a_file_is_written_and_its_end_is_read(world, tmp_path):
    file = tmp_path / "file.txt"
    file.write_text("one\ntwö\n", encoding="utf-8")
    world.gateway.storage.upload(file, f"{BUCKET}/texts/file.txt")
    assert world.gateway.storage.read_text(f"{BUCKET}/texts/file.txt", 1000) == "one\ntwö\n"
    assert world.gateway.storage.read_text(f"{BUCKET}/texts/file.txt", 5) == "twö\n"


def test_a_file_is_replaced(world, tmp_path):
    file = tmp_path / "file.txt"
    for text in ("first", "second"):
        file.write_text(text)
        world.gateway.storage.upload(file, f"{BUCKET}/texts/twice.txt")
    assert world.gateway.storage.read_text(f"{BUCKET}/texts/twice.txt", 1000) == "second"


def test_an_empty_file(world, tmp_path):
    (tmp_path / "empty").touch()
    world.gateway.storage.upload(tmp_path / "empty", f"{BUCKET}/texts/empty")
    assert world.gateway.storage.read_text(f"{BUCKET}/texts/empty", 1000) == ""


def test_a_file_that_goes_up_in_several_parts(world, tmp_path):
    file = tmp_path / "large"
    file.write_bytes(os.urandom(9_000_000).hex().encode()[:9_000_000] + b"end")
    world.gateway.storage.upload(file, f"{BUCKET}/texts/large")
    assert world.gateway.storage.read_text(f"{BUCKET}/texts/large", 3) == "end"


def test_what_is_not_there(world):
    assert world.gateway.storage.read_text(f"{BUCKET}/texts/nothing", 10) is None
    assert world.gateway.storage.read_text("gs://no-such-bucket-here/a", 10) is None


def test_an_object_is_found_with_its_size(world, tmp_path):
    (tmp_path / "a").write_text("four")
    world.gateway.storage.upload(tmp_path / "a", f"{BUCKET}/texts/found.txt")
    found = world.gateway.storage.find_object(f"{BUCKET}/texts/found.txt")
    assert (found.name, found.size) == ("texts/found.txt", 4)
    missing = (f"{BUCKET}/texts/found", "gs://no-such-bucket-here/a")
    assert [world.gateway.storage.find_object(uri) for uri in missing] == [None, None]


def test_a_part_of_an_object_is_read_in_the_version_that_was_found(world, tmp_path):
    (tmp_path / "a").write_text("0123456789")
    uri, storage = f"{BUCKET}/texts/parts.txt", world.gateway.storage
    storage.upload(tmp_path / "a", uri)
    version = storage.find_object(uri).version
    assert [storage.read_range(uri, start, size, version) for start, size in ((0, 3), (3, 4), (8, 9))] == [
        b"012", b"3456", b"89",
    ]  # fmt: skip
    with pytest.raises(NotFound):
        storage.read_range(f"{BUCKET}/texts/no-such-part", 0, 1, "")


def test_a_folder_is_empty_until_something_lies_in_it(world, tmp_path):
    folder = f"{BUCKET}/folder-{world.name}"
    (tmp_path / "a").write_text("a")
    world.gateway.storage.upload(tmp_path / "a", f"{folder}-not/a")
    assert world.gateway.storage.is_empty(folder)
    world.gateway.storage.upload(tmp_path / "a", f"{folder}/deep/a")
    assert not world.gateway.storage.is_empty(folder)


def test_what_is_wrong_with_an_output(world):
    assert world.gateway.storage.problem_with_output(f"{BUCKET}/out") == ""
    assert "no-such-bucket-here" in world.gateway.storage.problem_with_output("gs://no-such-bucket-here/out")


def test_a_bucket_is_made_once(world):
    for _time in range(2):
        world.gateway.storage.ensure_bucket("gs://made-by-a-test/some/path")
    assert world.gateway.storage.is_empty("gs://made-by-a-test")


def test_no_upload_into_a_bucket_that_is_not_there(world, tmp_path):
    (tmp_path / "a").write_text("a")
    with pytest.raises(NotFound):
        world.gateway.storage.upload(tmp_path / "a", "gs://no-such-bucket-here/a")


def listed(world, uri, limit=100):
    """All pages: folders, and objects with their sizes."""
    folders, objects, token = [], [], ""
    while True:
        page = world.gateway.storage.list_folder(uri, token, limit)
        folders += page.folders
        objects += [(one.name, one.size) for one in page.objects]
        token = page.next_token
        if not token:
            return folders, objects


def test_what_lies_right_below_a_folder(world, tmp_path):
    folder = f"{BUCKET}/tree-{world.name}"
    (tmp_path / "a").write_text("four")
    for name in ("b/c/x", "b/y", "d/z", "e.txt", "f.txt"):
        world.gateway.storage.upload(tmp_path / "a", f"{folder}/{name}")
    assert listed(world, folder) == (["b", "d"], [("e.txt", 4), ("f.txt", 4)])
    assert listed(world, folder, limit=1) == (["b", "d"], [("e.txt", 4), ("f.txt", 4)])
    assert listed(world, f"{folder}/b") == (["c"], [("y", 4)])
    assert listed(world, f"{folder}/nothing") == ([], [])


def test_the_buckets_are_listed(world):
    world.gateway.storage.ensure_bucket("gs://made-by-a-test")
    assert BUCKET.removeprefix("gs://") in world.gateway.storage.list_buckets("", 100).folders
    first = world.gateway.storage.list_buckets("", 1)
    assert (len(first.folders), first.next_token != "") == (1, True)


def test_no_list_of_a_bucket_that_is_not_there(world):
    with pytest.raises(NotFound, match="no-such-bucket-here"):
        world.gateway.storage.list_folder("gs://no-such-bucket-here/a", "", 10)
