from gcp_storage_emulator.storage import _FileStore

from console.management.storage import write_whole


def test_a_file_is_replaced_as_a_whole(tmp_path):
    store = _FileStore(use_memory=False, root=tmp_path)
    write_whole(store, "bucket/folder/file", b"first")
    with (tmp_path / "bucket/folder/file").open("rb") as reader:
        write_whole(store, "bucket/folder/file", b"second")
        assert reader.read() == b"first"
    assert [path.name for path in (tmp_path / "bucket/folder").iterdir()] == ["file"]


def test_the_emulator_reads_what_was_written(tmp_path):
    store = _FileStore(use_memory=False, root=tmp_path)
    write_whole(store, ".meta", b"{}")
    assert store.read_bytes(".meta") == b"{}"
