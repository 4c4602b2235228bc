from gcp_storage_emulator.storage import _FileStore

from jobs.localvertex.storage.files import Files, open_storage


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_is_replaced_as_a_whole(tmp_path):
    files = Files(tmp_path)
    files.write_bytes("bucket/folder/file", b"first")
    with (tmp_path / "bucket/folder/file").open("rb") as reader:
        files.write_bytes("bucket/folder/file", b"second")
        assert reader.read() == b"first"
    files.let_go()
    assert names(tmp_path) == ["bucket/folder/file"]


def test_the_emulator_reads_what_was_written(tmp_path):
    Files(tmp_path).write_bytes(".meta", b"{}")
    assert _FileStore(use_memory=False, root=tmp_path).read_bytes(".meta") == b"{}"


def test_all_of_a_change_is_put_back(tmp_path):
    files = Files(tmp_path)
    for name in ("a", "b/c"):
        files.write_bytes(name, b"before")
    files.let_go()
    files.write_bytes("a", b"after")
    files.write_bytes("new", b"after")
    files.remove_tree("b")
    files.put_back()
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == {"a": b"before", "b/c": b"before"}


def test_what_a_kill_left_is_swept(tmp_path):
    files = Files(tmp_path)
    files.write_bytes("a", b"first")
    files.write_bytes("a", b"second")
    assert len(names(tmp_path)) == 2
    Files(tmp_path)
    assert names(tmp_path) == ["a"]


def test_a_part_of_an_object_is_read_without_the_rest(tmp_path):
    storage = open_storage(tmp_path, "bucket")
    with storage.change():
        storage.create_file("bucket", "a/b", b"0123456789", {})
        storage.create_file("bucket", "a/empty", b"", {})
    storage.is_read_in_parts = True
    found = storage.get_file("bucket", "a/b")
    assert (isinstance(found, bytes), len(found), found[3:7]) == (False, 10, b"3456")
    assert storage.get_file("bucket", "a/empty") == b""
