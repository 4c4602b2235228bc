"""Other users of the machine: they can read nothing of the console, whatever its files were like before."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from console import datadir
from tests.support.headless_client import Visitor
from tests.support.running import Running, running

pytestmark = [pytest.mark.timeout(180), pytest.mark.threat("T15", "T19")]
NOBODY = 65534
IDLE = {"CONSOLE_LOCAL_OPTIONS": "--prepare when-needed"}
LOOK = """
import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
seen = []
for line in sys.stdin:
    try:
        open(line.rstrip("\\n"), "rb").read(1)
        seen.append(line)
    except OSError:
        pass
print(*seen, sep="")
"""


@pytest.fixture(scope="module")
def console() -> Iterator[Running]:
    """With files of an earlier version, which everybody could read, in a folder that everybody may look into."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    data = folder / "data"
    old_umask = os.umask(0o022)
    for name in ("datasets/1/train.jsonl", "pictures/ab/1.png", "storage/garden-local/x", "localvertex/ledger.jsonl"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text("")
    os.umask(old_umask)
    with running(data, IDLE) as started:
        with Visitor(started.address) as person:
            person.sign_in(started.link)
        yield started
    shutil.rmtree(folder)


def open_to_others(folder: Path) -> list[str]:
    found = []
    for path in (folder, *folder.rglob("*")):
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue
        if mode & datadir.OTHERS and not stat.S_ISLNK(mode):
            found.append(f"{path.relative_to(folder)} {stat.filemode(mode)}")
    return found


def test_no_file_of_a_running_console_is_open_to_others(console):
    names = {path.name for path in console.data_dir.iterdir()}
    assert {"console.sqlite3", "console.sqlite3-wal", "datasets", "run", "logs", "cache", "static"} <= names
    assert open_to_others(console.data_dir) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_another_user_reads_nothing(console):
    files = [str(path) for path in console.data_dir.rglob("*") if path.is_file()]
    files += [f"/proc/{pid}/environ" for pid in console.pids().values()]
    command = [sys.executable, "-c", LOOK]
    told = subprocess.run(command, input="\n".join(files), capture_output=True, text=True, check=True)
    assert (len(files) > 50, told.stdout.strip()) == (True, "")


def test_a_folder_that_others_use_is_left_as_it_is(tmp_path, monkeypatch):
    umask = os.umask(0o022)
    try:
        for name, mode in {"home": 0o755, "shared": 0o1777, "own": 0o755}.items():
            (tmp_path / name).mkdir()
            (tmp_path / name).chmod(mode)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        for name in ("home", "shared", "own"):
            datadir.open_data_dir(tmp_path / name)
        modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("home", "shared", "own")}
        assert modes == {"home": 0o755, "shared": 0o1777, "own": 0o700}
    finally:
        os.umask(umask)


def test_a_link_is_not_followed_and_strange_files_are_left_alone(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o644)
    folder = tmp_path / "own"
    (folder / "storage").mkdir(parents=True)
    (folder / "storage/link").symlink_to(outside)
    (folder / "notes.txt").write_text("")
    (folder / "notes.txt").chmod(0o644)
    (folder / "secret-key").write_text("")
    (folder / "secret-key").chmod(0o644)
    datadir.close_all_to_others(folder)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (outside, folder / "notes.txt", folder / "secret-key")]
    assert modes == [0o644, 0o644, 0o600]


@pytest.mark.parametrize(("inside", "mode"), [(True, 0o600), (False, 0o644)])
def test_static_files_elsewhere_are_there_for_a_proxy_to_read(tmp_path, inside, mode):
    data = tmp_path / "console"
    root = data / "static" if inside else tmp_path / "served"
    given = {
        "CONSOLE_DATA_DIR": str(data),
        "CONSOLE_STATIC_ROOT": str(root),
        "DJANGO_SETTINGS_MODULE": "console.settings",
    }
    command = [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"]
    subprocess.run(command, cwd=Path(__file__).parents[2], env=os.environ | given, check=True)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*") if path.is_file()}
    folders = {stat.S_IMODE(path.stat().st_mode) for path in (root, *root.rglob("*")) if path.is_dir()}
    assert (modes, folders) == ({mode}, {0o700 if inside else 0o755})
