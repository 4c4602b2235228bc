"""What `make up` needs of this machine, looked at before anything is downloaded: `python3 -I console/preflight.py`.

Runs on the system's Python with the standard library alone, and takes a tenth of a second. An older Python than the
console needs has to be told so, therefore nothing here is newer than Python 3.6, and annotations are quoted.
"""

import argparse
import ctypes
import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
OLDEST, NEWEST_TRIED = (3, 11), (3, 13)
OLDEST_GLIBC = (2, 28)
OLDEST_SQLITE = (3, 31)
GIGABYTE = 10**9
# Of one run: the console, a training of Gemma 3 270M, and a model server.
MEMORY = 3 * GIGABYTE
PACKAGES, PACKAGES_FOR_CUDA, PACKAGES_FOR_TESTS = 1_900_000_000, 7 * GIGABYTE, 500_000_000
DOWNLOADS, DOWNLOADS_FOR_CUDA = 900_000_000, 4 * GIGABYTE
DATA = 700_000_000
MANAGERS = {"debian": "apt-get install", "fedora": "dnf install", "macos": "brew install"}
# Where a package of Python's does not bring it: who needs it, and what it is called in Debian and in Fedora.
LIBRARIES = {
    "libgomp.so.1": ("llama.cpp", "libgomp1", "libgomp"),
    "libstdc++.so.6": ("PyTorch and Google's client", "libstdc++6", "libstdc++"),
    "libgcc_s.so.1": ("PyTorch and Google's client", "libgcc-s1", "libgcc"),
    "libz.so.1": ("Pillow", "zlib1g", "zlib"),
}
LIBRARIES_FOR_TESTS = {"libatomic.so.1": ("Playwright", "libatomic1", "libatomic")}
NEWER = {"fedora": "python3.12", "macos": "python@3.12"}
MODULES = {"ssl": "OpenSSL", "sqlite3": "SQLite", "zlib": "zlib", "ctypes": "libffi"}


class Finding(NamedTuple):
    """One sentence; `package` is what the package manager calls what is missing, where that is known."""

    sentence: str
    package: str = ""
    is_fatal: bool = True


class System(NamedTuple):
    """`family` is a key of MANAGERS, or nothing."""

    family: str
    is_root: bool

    def command(self, packages: "list[str]") -> str:
        """What installs them. Empty where the family is unknown."""
        if self.family not in MANAGERS or not packages:
            return ""
        sudo = "" if self.is_root or self.family == "macos" else "sudo "
        return f"{sudo}{MANAGERS[self.family]} {' '.join(packages)}"


def this_system(os_release: str = "/etc/os-release", platform: str = sys.platform) -> System:
    if platform == "darwin":
        return System("macos", os.geteuid() == 0)
    names = set()
    if os.path.exists(os_release):
        for line in Path(os_release).read_text(errors="replace").splitlines():
            name, _, value = line.partition("=")
            if name in ("ID", "ID_LIKE"):
                names.update(value.strip("\"'").lower().split())
    families = {"debian": {"debian", "ubuntu"}, "fedora": {"fedora", "rhel", "centos"}}
    found = [family for family, known in families.items() if names & known]
    return System(found[0] if found else "", os.geteuid() == 0)


def look_at_python(version: "tuple[int, ...]", others: "list[str]", family: str) -> "list[Finding]":
    """`others` are names of newer Pythons on this machine, the best first."""
    shown = ".".join(str(number) for number in version[:2])
    if version[:2] < OLDEST:
        what = f"This is Python {shown}. Garden Console needs 3.11 or newer"
        if others:
            return [Finding(f"{what}. There is another one: run `make up PYTHON={others[0]}`.")]
        return [Finding(f"{what}. Install one, then run: `make up PYTHON=python3.12`.", NEWER.get(family, ""))]
    if version[:2] > NEWEST_TRIED:
        return [
            Finding(
                f"This is Python {shown}, which is untested. If a package has no build for it, run "
                "`make up PYTHON=python3.13`.",
                is_fatal=False,
            )
        ]
    return []


def other_pythons() -> "list[str]":
    names = [f"python3.{minor}" for minor in range(NEWEST_TRIED[1], OLDEST[1] - 1, -1)]
    return [name for name in names if shutil.which(name)]


def look_at_modules(names: "dict[str, str]") -> "list[Finding]":
    """Parts of Python that a build by hand leaves out when it does not find a library."""
    found = []
    for name, library in names.items():
        try:
            importlib.import_module(name)
        except ImportError:
            found.append(Finding(f"This Python was built without {library}: its module {name} is missing."))
    return found


def look_at_venv(names: "tuple[str, ...]", program: str, family: str) -> "list[Finding]":
    """Debian has these modules in a package for each Python of its own, such as python3-venv of `program` python3."""
    if sys.prefix != sys.base_prefix or all(importlib.util.find_spec(name) for name in names):
        return []
    package = f"{Path(program).name}-venv" if family == "debian" and program.startswith("/usr/bin/python3") else ""
    return [Finding("This Python cannot make a virtual environment: it lacks venv or ensurepip.", package)]


def look_at_sqlite(version: "tuple[int, ...]") -> "list[Finding]":
    if version >= OLDEST_SQLITE:
        return []
    return [Finding(f"SQLite is {'.'.join(map(str, version))}. Garden Console needs 3.31 or newer.")]


def look_at_glibc(said: str) -> "list[Finding]":
    """`said` is what the C library calls itself, such as "glibc 2.41"; empty where it is another one, such as musl."""
    needed = "There are builds of PyTorch for Linux with glibc 2.28 or newer"
    numbers = tuple(int(part) for part in said.rpartition(" ")[2].split(".") if part.isdigit())
    if not said.startswith("glibc"):
        return [Finding(f"This Linux does not use glibc. {needed} only.")]
    return [] if numbers >= OLDEST_GLIBC else [Finding(f"This Linux has {said}. {needed} only.")]


def glibc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        return ""


def look_at_libraries(libraries: "dict[str, tuple[str, str, str]]", family: str) -> "list[Finding]":
    """By loading each, which is what a package of Python's does later."""
    found = []
    for name, (needed_by, in_debian, in_fedora) in libraries.items():
        try:
            ctypes.CDLL(name)
        except OSError:
            package = {"debian": in_debian, "fedora": in_fedora}.get(family, "")
            found.append(Finding(f"The library {name} is missing, which {needed_by} needs.", package))
    return found


def libraries_for(environment: "dict[str, str]", tests: bool = False) -> "dict[str, tuple[str, str, str]]":
    """llama.cpp runs where there is no Vertex AI elsewhere. On other systems than Linux, packages bring all of it."""
    if not sys.platform.startswith("linux"):
        return {}
    needed = dict(LIBRARIES)
    if not tests and (environment.get("VERTEX_PROJECT") or environment.get("VERTEX_API_ENDPOINT")):
        del needed["libgomp.so.1"]
    if tests:
        needed.update(LIBRARIES_FOR_TESTS)
    return needed


def look_for_room(wanted: "list[tuple[str, Path, int]]") -> "list[Finding]":
    """What, where and how many bytes. What lies on one disk is added up."""
    disks = {}  # type: dict[int, list[tuple[str, Path, int]]]
    for one in wanted:
        disks.setdefault(nearest(one[1]).stat().st_dev, []).append(one)
    found = []
    for there in disks.values():
        needed, free = sum(one[2] for one in there), shutil.disk_usage(str(nearest(there[0][1]))).free
        if free < needed:
            parts = ", ".join(f"{what} in {folder}" for what, folder, _size in there)
            sizes = f"{in_gigabytes(free)} GB are free, {in_gigabytes(needed)} GB are needed"
            found.append(
                Finding(f"The disk is too full: {sizes} ({parts}). Free up disk space, or {elsewhere(there)}.")
            )
    return found


def elsewhere(there: "list[tuple[str, Path, int]]") -> str:
    ways = {"packages": "VENV=FOLDER to make", "downloads": "TMPDIR=FOLDER", "data": "CONSOLE_DATA_DIR=FOLDER"}
    return "give " + " or ".join(ways[what] for what, _folder, _size in there)


def disk_space_for(venv: Path, data: Path, tests: bool, cuda: bool) -> "list[tuple[str, Path, int]]":
    """Nothing for what is installed already: then pip replaces a few packages."""
    if any(venv.glob("lib/python*/site-packages/torch")):
        return []
    packages = (PACKAGES_FOR_CUDA if cuda else PACKAGES) + (PACKAGES_FOR_TESTS if tests else 0)
    # Not by `tempfile`, which writes a file to find out, and ends with a traceback where there is no room for that.
    temporary = Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108  # where pip does
    room = [("packages", venv, packages), ("downloads", temporary, DOWNLOADS_FOR_CUDA if cuda else DOWNLOADS)]
    return room + ([] if tests else [("data", data, DATA)])


def nearest(folder: Path) -> Path:
    """Itself, or the folder above it that exists."""
    folder = folder.absolute()
    return next(path for path in [folder, *folder.parents] if path.exists())


def look_at_memory(memory: int) -> "list[Finding]":
    if memory >= MEMORY:
        return []
    shown = f"This machine has {in_gigabytes(memory)} GB of memory for Garden Console"
    return [Finding(f"{shown}; to fine-tune and serve Gemma 3 270M on it takes about 3.", is_fatal=False)]


def memory_of_this_machine() -> int:
    """Of what a container may use, when there is a limit."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        if os.access(file, os.R_OK):
            said = Path(file).read_text().strip()
            limits += [int(said)] if said.isdigit() else []
    return min(limits)


def in_gigabytes(size: int) -> str:
    return f"{size / GIGABYTE:.1f}"


def look(venv: Path, tests: bool, cuda: bool) -> "list[Finding]":
    """Everything that is wrong with this machine."""
    family = this_system().family
    if sys.version_info[:2] < OLDEST:
        return look_at_python(sys.version_info[:3], other_pythons(), family)
    found = look_at_python(sys.version_info[:3], [], family)
    found += look_at_modules(MODULES) + look_at_venv(("venv", "ensurepip"), sys.executable, family)
    if importlib.util.find_spec("_sqlite3"):
        found += look_at_sqlite(importlib.import_module("sqlite3").sqlite_version_info)
    if sys.platform.startswith("linux"):
        found += look_at_glibc(glibc())
    found += look_at_libraries(libraries_for(dict(os.environ), tests), family)
    data = Path(os.environ.get("CONSOLE_DATA_DIR") or ROOT / "data")
    return found + look_for_room(disk_space_for(venv, data, tests, cuda)) + look_at_memory(memory_of_this_machine())


def tell(found: "list[Finding]", system: System) -> str:
    """The sentences, then one command that installs all that has a name."""
    packages = [finding.package for finding in found if finding.package]
    lines = [finding.sentence for finding in found]
    command = system.command(packages)
    return "\n".join(lines + ([f"Install what is missing, then try again:\n    {command}"] if command else []))


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks whether this machine has what Garden Console needs.")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="where the packages go")
    parser.add_argument("--tests", action="store_true", help="also check what the tests need")
    parser.add_argument("--cuda", action="store_true", help="with PyTorch's build for NVIDIA GPUs")
    parser.add_argument("--cpu", dest="cuda", action="store_false", help="with PyTorch's build for CPUs (default)")
    parser.add_argument("--again", action="store_true", help="only show what prevents a start, not warnings")
    options = parser.parse_args()
    found = look(options.venv, options.tests, options.cuda)
    fatal = [finding for finding in found if finding.is_fatal]
    shown = fatal if options.again else found
    if shown:
        print(tell(shown, this_system()), file=sys.stderr)
    return 1 if fatal else 0


if __name__ == "__main__":
    sys.exit(main())
