"""What `up` says when it cannot start: one sentence that names the remedy, exit code 1, no traceback."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.migrated import migrated as migrated_database
from tests.support.rights import MAY_MOUNT
from tests.support.running import ROOT, environment, processes_of
from tests.support.share import one_of

pytestmark = [pytest.mark.timeout(180), pytest.mark.fault("F20")]
NEEDS_ROOT = pytest.mark.skipif(not MAY_MOUNT, reason="only root may mount, give files away and be somebody else")
NOBODY = 65534
IDLE = {"CONSOLE_LOCAL_OPTIONS": "--prepare when-needed"}
FULL_TMPFS, ROOMY_TMPFS = "size=4m", "size=100m"


def manage(
    data_dir: Path, *command: str, prefix: tuple[str, ...] = (), **options: object
) -> "subprocess.CompletedProcess[str]":
    """Without anything else in the environment that names a data directory."""
    given = environment(IDLE | {"CONSOLE_DATA_DIR": str(data_dir)})
    line = [*prefix, sys.executable, "manage.py", *command]
    return subprocess.run(line, cwd=ROOT, env=given, capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload]


def refusal(data_dir: Path, *command: str, **options: object) -> str:
    """The one line on the error output."""
    ended = manage(data_dir, *(command or ("up",)), **options)  # type: ignore[arg-type]
    assert (ended.returncode, ended.stderr.count("\n"), "Ready" in ended.stdout) == (1, 1, False), ended.stderr
    assert processes_of(data_dir) == []
    return ended.stderr


@pytest.fixture
def mounted(tmp_path) -> Iterator[object]:
    mounts: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / "mounted"
        folder.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True, capture_output=True)
        mounts.append(folder)
        return folder

    try:
        yield mount
    finally:
        for folder in mounts:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp("migrated")
    migrated_database.copy_to(data / "console.sqlite3")
    assert manage(data, "migrate", "--verbosity", "0").stderr == ""
    return data


@pytest.fixture
def data_dir(migrated, tmp_path) -> Path:
    return Path(shutil.copytree(migrated, tmp_path / "console"))


@NEEDS_ROOT
@pytest.mark.slow
@pytest.mark.parametrize("is_new", [False, True])
def test_a_data_directory_that_cannot_be_written(mounted, is_new):
    folder = mounted(ROOMY_TMPFS)
    if not is_new:
        assert manage(folder, "migrate", "--verbosity", "0").returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    text = refusal(folder)
    assert (str(folder) in text, "ount it as writable" in text) == (True, True)


@NEEDS_ROOT
def test_a_full_disk(mounted):
    folder = mounted(FULL_TMPFS)
    text = refusal(folder)
    assert "CommandError: The disk of" in text
    assert "Free up disk space, then start again." in text


@NEEDS_ROOT
def test_a_disk_that_is_too_full_for_a_key(mounted):
    folder = mounted("size=4k,nr_inodes=1")
    assert "No space left on device. " in refusal(folder)


@NEEDS_ROOT
@pytest.mark.parametrize("name", one_of(3, ["console.sqlite3", "secret-key", "localvertex"]))
def test_files_of_somebody_else(migrated, open_folder, name):
    data_dir = Path(shutil.copytree(migrated, open_folder / "console"))
    (data_dir / "localvertex").mkdir(exist_ok=True)
    for path in (data_dir, *data_dir.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.chown(data_dir / name, 0, 0)
    (data_dir / name).chmod(0o700)
    said = as_nobody(data_dir, f"from console import datadir; print(datadir.why_not_start(Path({str(data_dir)!r})))")
    assert f"{data_dir / name} is not writable" in said
    assert "chown -R 65534" in said


def as_nobody(data_dir: Path, code: str) -> str:
    """What is imported is read by root: a checkout may be private."""
    whole = (
        "import os\nfrom pathlib import Path\nfrom console import datadir\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n{code}\n"
    )
    given = environment({"CONSOLE_DATA_DIR": str(data_dir)})
    ended = subprocess.run(
        [sys.executable, "-c", whole], cwd=ROOT, env=given, capture_output=True, text=True, timeout=60
    )
    assert ended.stderr == ""
    return ended.stdout


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Everybody may look into it, unlike into the folders of pytest."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_file_that_is_no_database(data_dir):
    database = data_dir / "console.sqlite3"
    database.write_bytes(b"not a database at all " * 500)
    text = refusal(data_dir)
    assert text.startswith(f"CommandError: The database {database} cannot be used: file is not a database.")
    assert "Restore the last backup" in text


def test_a_damaged_database(data_dir):
    """A page far behind the ones that a start reads."""
    database = data_dir / "console.sqlite3"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("CREATE TABLE more (text)")
        connection.executemany("INSERT INTO more VALUES (?)", [("x" * 900,)] * 400)
        connection.commit()
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    whole = bytearray(database.read_bytes())
    whole[-20 * size : -19 * size] = b"\xff" * size
    database.write_bytes(whole)
    text = refusal(data_dir)
    assert ("malformed" in text, "Restore the last backup" in text) == (True, True)


@pytest.fixture
def newer(data_dir) -> Path:
    with closing(sqlite3.connect(data_dir / "console.sqlite3")) as connection:
        row = ("jobs", "9999_from_the_future", "2026-01-01 00:00:00")
        connection.execute("INSERT INTO django_migrations (app, name, applied) VALUES (?, ?, ?)", row)
        connection.commit()
    return data_dir


NEWER = "The database was made by a newer version of Garden Console: version 0.1.0 does not know 9999_from_the_future."
SERVERS = {
    "web": ["-m", "uvicorn", "console.asgi:application", "--port", "0"],
    "worker": ["-m", "celery", "-A", "console", "worker", "--pool=threads"],
    "beat": ["-m", "celery", "-A", "console", "beat"],
}


@pytest.mark.fault("F29")
def test_a_database_of_a_newer_version_is_refused(newer):
    text = refusal(newer)
    assert text.startswith(f"CommandError: {NEWER} Install the newer version again, or restore a backup")


def test_the_usual_folder_does_not_matter_when_another_is_named(newer):
    text = refusal(Path("/proc/nothing"), "up", "--data-dir", str(newer))
    assert text.startswith(f"CommandError: {NEWER}")


def test_a_folder_that_cannot_be_made():
    text = refusal(Path("/proc/nothing"), "migrate")
    assert text.startswith("ImproperlyConfigured: /proc/nothing cannot be used: ")


@pytest.mark.fault("F29")
def test_migrate_refuses_a_newer_database_too(newer):
    ended = manage(newer, "migrate")
    assert (ended.returncode, NEWER in ended.stderr, "Traceback" in ended.stderr) == (1, True, False)


@pytest.mark.fault("F29")
@pytest.mark.parametrize("name", one_of(3, SERVERS))
def test_no_process_works_on_a_newer_database(newer, name):
    given = environment({"CONSOLE_DATA_DIR": str(newer), "DJANGO_SETTINGS_MODULE": "console.settings"})
    ended = subprocess.run(
        [sys.executable, *SERVERS[name]], cwd=ROOT, env=given, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode != 0, NEWER in ended.stderr, "Traceback" in ended.stderr) == (True, True, False)


TAKE_ALL_PORTS = """
import fcntl, os, pathlib, socket, struct, sys
kept = [socket.socket()]
fcntl.ioctl(kept[0], 0x8914, struct.pack("16sH14x", b"lo", 1))
pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40000")
for port in (8000, 6390, 9023, 8085, 40000):
    kept.append(socket.create_server(("127.0.0.1", port)))
for one in kept:
    one.set_inheritable(True)
os.execv(sys.argv[1], sys.argv[1:])
"""


@NEEDS_ROOT
def test_no_ports(data_dir):
    """In a network of its own that has five ports, all taken."""
    text = refusal(data_dir, "up", prefix=("unshare", "--net", sys.executable, "-c", TAKE_ALL_PORTS))
    assert (text.startswith("CommandError: "), "port" in text) == (True, True)
