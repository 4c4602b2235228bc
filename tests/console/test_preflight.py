"""What a machine lacks is said in a sentence with one command, before anything is downloaded."""

import ast
import re
import resource
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from console import preflight
from console.preflight import Finding, System
from tests.support.rights import MAY_MOUNT
from tests.support.running import ROOT, environment

PROGRAM = ROOT / "console/preflight.py"
ON_LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at Linux's libraries")
NEEDS_MOUNTS = pytest.mark.skipif(not MAY_MOUNT, reason="who may not mount cannot hide a library")
BESIDE_IT = ("unshare", "--mount", "sh", "-c", 'mount --bind /dev/null "$0" && exec "$@"')


def path_of(library: str) -> str:
    listed = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    return re.findall(rf"^\s*{re.escape(library)} .* => (\S+)$", listed, re.M)[0]


def run(*command: str, **given: str) -> "subprocess.CompletedProcess[str]":
    told = environment(given)
    return subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, timeout=60, check=False)


def test_it_uses_no_package_and_takes_less_than_a_second():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = run(sys.executable, "-I", "-S", str(PROGRAM), "--tests")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert (ended.returncode, ended.stderr, seconds < 1) == (0, "", True)


def test_an_old_python_can_read_it():
    """Python 3.6 evaluates annotations that are not quoted, and knows no `list[str]`."""
    tree = ast.parse(PROGRAM.read_text(), feature_version=(3, 7))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    annotations = [one.annotation for function in functions for one in function.args.args]
    annotations += [function.returns for function in functions]
    assert [ast.unparse(one) for one in annotations if isinstance(one, ast.Subscript)] == []


@pytest.mark.parametrize(
    ("version", "others", "family", "found"),
    [
        ((3, 11, 0), [], "debian", []),
        ((3, 13, 5), [], "debian", []),
        (
            (3, 9, 2),
            ["python3.12", "python3.11"],
            "debian",
            [
                Finding(
                    "This is Python 3.9. Garden Console needs 3.11 or newer. There is another one: run "
                    "`make up PYTHON=python3.12`."
                )
            ],
        ),
        (
            (3, 9, 2),
            [],
            "fedora",
            [
                Finding(
                    "This is Python 3.9. Garden Console needs 3.11 or newer. Install one, then run: "
                    "`make up PYTHON=python3.12`.",
                    "python3.12",
                )
            ],
        ),
        (
            (3, 15, 0),
            [],
            "",
            [
                Finding(
                    "This is Python 3.15, which is untested. If a package has no build for it, run "
                    "`make up PYTHON=python3.13`.",
                    is_fatal=False,
                )
            ],
        ),
    ],
)
def test_the_version_of_python(version, others, family, found):
    assert preflight.look_at_python(version, others, family) == found


@pytest.mark.parametrize(
    ("program", "family", "package"),
    [
        ("/usr/bin/python3", "debian", "python3-venv"),
        ("/usr/bin/python3.11", "debian", "python3.11-venv"),
        ("/usr/local/bin/python3", "debian", ""),
        ("/usr/bin/python3", "fedora", ""),
    ],
)
def test_a_python_that_makes_no_environments(tmp_path, program, family, package):
    """Asked of one outside of an environment, where the tests are not."""
    code = (
        "import sys; sys.path.insert(0, 'console'); import preflight;"
        f"print(preflight.look_at_venv(('venv', 'no_such_module'), {program!r}, {family!r})[0].package)"
    )
    ended = run(str(Path(sys.base_prefix) / "bin/python3"), "-c", code)
    assert (ended.stdout, ended.stderr) == (f"{package}\n", "")


def test_a_python_that_lacks_a_part():
    found = preflight.look_at_modules({"sys": "nothing", "no_such_module": "OpenSSL"})
    assert found == [Finding("This Python was built without OpenSSL: its module no_such_module is missing.")]


@pytest.mark.parametrize(("said", "problems"), [("glibc 2.41", 0), ("glibc 2.28", 0), ("glibc 2.17", 1), ("", 1)])
def test_the_c_library(said, problems):
    assert len(preflight.look_at_glibc(said)) == problems


def test_an_old_sqlite():
    assert preflight.look_at_sqlite((3, 45, 1)) == []
    [found] = preflight.look_at_sqlite((3, 26, 0))
    assert found.sentence == "SQLite is 3.26.0. Garden Console needs 3.31 or newer."


@ON_LINUX
@pytest.mark.parametrize(("family", "package"), [("debian", "libnone1"), ("fedora", "libnone"), ("", "")])
def test_a_library_that_is_missing(family, package):
    libraries = {"libc.so.6": ("all", "libc6", "glibc"), "libnone.so.1": ("llama.cpp", "libnone1", "libnone")}
    found = preflight.look_at_libraries(libraries, family)
    assert found == [Finding("The library libnone.so.1 is missing, which llama.cpp needs.", package)]


@ON_LINUX
def test_llama_cpp_is_not_needed_beside_vertex_ai():
    """The tests need it always."""
    there = {"VERTEX_PROJECT": "something"}
    assert "libgomp.so.1" in preflight.libraries_for({})
    assert "libgomp.so.1" not in preflight.libraries_for(there)
    assert {"libgomp.so.1", "libatomic.so.1"} <= set(preflight.libraries_for(there, tests=True))


@ON_LINUX
@pytest.mark.skipif(shutil.which("readelf") is None, reason="needs readelf, of binutils")
def test_what_the_installed_packages_load_is_there_or_known():
    """A package that comes to need another library of the system fails here, not on a bare machine."""
    packages = Path(find_spec("xllamacpp").origin).parents[1]
    files = [path for path in packages.rglob("*") if path.is_file() and is_a_program_or_library(path)]
    brought = {path.name for path in files}
    of_c = {"libc", "libm", "libdl", "librt", "libpthread", "libresolv", "ld-linux-x86-64", "ld-linux-aarch64"}
    known = brought | set(preflight.LIBRARIES) | set(preflight.LIBRARIES_FOR_TESTS)
    needed = {name: path.relative_to(packages).parts[0] for path in files for name in needs(path)}
    optional = {"bitsandbytes"}  # Has a build for each kind of card, and takes the one that can be loaded.
    left = {name: owner for name, owner in needed.items() if name not in known and name.partition(".")[0] not in of_c}
    assert {name: owner for name, owner in left.items() if owner not in optional} == {}


def is_a_program_or_library(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


NEEDED = re.compile(r"\(NEEDED\).*\[(.+)\]")


def needs(path: Path) -> list[str]:
    return NEEDED.findall(subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout)


def test_too_little_room_says_what_and_where(tmp_path):
    """On one disk everything is added up; what would do is named for each."""
    wanted = [("packages", tmp_path / "a/.venv", 10**18), ("downloads", tmp_path, 2 * 10**18)]
    [found] = preflight.look_for_room(wanted)
    assert re.sub(r"[\d.]+ GB are free", "… GB are free", found.sentence) == (
        "The disk is too full: … GB are free, 3000000000.0 GB are needed "
        f"(packages in {tmp_path}/a/.venv, downloads in {tmp_path}). "
        "Free up disk space, or give VENV=FOLDER to make or TMPDIR=FOLDER."
    )
    assert preflight.look_for_room([("data", tmp_path, 1)]) == []


@ON_LINUX
@NEEDS_MOUNTS
@pytest.mark.fault("F20")
def test_a_disk_for_downloads_that_is_full_is_named(tmp_path):
    (tmp_path / "small").mkdir()
    full = 'mount -t tmpfs -o size=64k tmpfs "$0" && cat /dev/zero >"$0/all" 2>/dev/null; exec "$@"'
    look = [sys.executable, "-I", str(PROGRAM), "--venv", str(tmp_path / ".venv")]
    command = ["unshare", "--mount", "sh", "-c", full, str(tmp_path / "small"), *look]
    ended = run(*command, TMPDIR=str(tmp_path / "small"))
    said = (
        f"0.0 GB are free, 0.9 GB are needed (downloads in {tmp_path}/small). "
        "Free up disk space, or give TMPDIR=FOLDER."
    )
    assert (ended.returncode, said in ended.stderr) == (1, True), ended.stderr


def test_what_is_installed_needs_no_room(tmp_path):
    (tmp_path / ".venv/lib/python3.13/site-packages/torch").mkdir(parents=True)
    assert preflight.disk_space_for(tmp_path / ".venv", tmp_path, tests=False, cuda=True) == []
    small, large = (
        sum(size for _what, _where, size in preflight.disk_space_for(tmp_path / "new", tmp_path, tests=True, cuda=cuda))
        for cuda in (False, True)
    )
    assert large > small > 10**9


def test_little_memory_is_a_warning():
    [found] = preflight.look_at_memory(2 * 10**9)
    assert (found.is_fatal, "has 2.0 GB of memory" in found.sentence) == (False, True)
    assert preflight.look_at_memory(4 * 10**9) == []


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("ID=debian\n", "debian"),
        ('ID=ubuntu\nID_LIKE="debian"\n', "debian"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "fedora"),
        ("ID=nixos\n", ""),
    ],
)
def test_the_family_of_the_system(tmp_path, text, family):
    file = tmp_path / "os-release"
    file.write_text(text)
    assert preflight.this_system(str(file), "linux").family == family
    assert preflight.this_system(str(tmp_path / "none"), "linux").family == ""
    assert preflight.this_system(str(file), "darwin").family == "macos"


@pytest.mark.parametrize(
    ("system", "command"),
    [
        (System("debian", is_root=False), "sudo apt-get install libgomp1 python3-venv"),
        (System("debian", is_root=True), "apt-get install libgomp1 python3-venv"),
        (System("fedora", is_root=False), "sudo dnf install libgomp1 python3-venv"),
        (System("macos", is_root=False), "brew install libgomp1 python3-venv"),
        (System("", is_root=False), ""),
    ],
)
def test_one_command_installs_all_that_has_a_name(system, command):
    found = [Finding("One.", "libgomp1"), Finding("Two."), Finding("Three.", "python3-venv")]
    last = f"\nInstall what is missing, then try again:\n    {command}" if command else ""
    assert preflight.tell(found, system) == f"One.\nTwo.\nThree.{last}"


@ON_LINUX
@NEEDS_MOUNTS
def test_make_up_says_it_before_it_makes_an_environment(tmp_path):
    hidden = [*BESIDE_IT, path_of("libgomp.so.1")]
    ended = run(*hidden, "make", "--no-print-directory", "up", f"VENV={tmp_path / 'venv'}", f"PYTHON={sys.executable}")
    assert "The library libgomp.so.1 is missing, which llama.cpp needs.\n" in ended.stderr
    assert (ended.returncode, (tmp_path / "venv").exists()) == (2, False)


@ON_LINUX
@NEEDS_MOUNTS
def test_up_says_it_before_it_starts_anything(tmp_path):
    """A library can go after everything was installed."""
    up = [sys.executable, "manage.py", "up", "--data-dir", str(tmp_path / "data")]
    ended = run(*BESIDE_IT, path_of("libgomp.so.1"), *up)
    sentence = "CommandError: The library libgomp.so.1 is missing, which llama.cpp needs.\n"
    assert (ended.returncode, ended.stdout, ended.stderr.startswith(sentence)) == (1, "", True)
