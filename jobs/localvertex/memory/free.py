"""How much memory a process of this machine may have: what the system tells, within the limits of control groups."""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

ROOT = Path("/")


class _Files(NamedTuple):
    """Of one version of control groups. `given_back`: of `memory.stat`, what the kernel takes back when asked."""

    folder: str
    limit: str
    usage: str
    given_back: str


SECOND = _Files("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")
FIRST = _Files("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def free_memory(root: Path = ROOT) -> int | None:
    """Bytes that can be taken now without anything being swapped or killed; None where the system does not tell."""
    found = [_of_system(root, "MemAvailable"), *(_left(place, files) for place, files in _groups(root))]
    return min((size for size in found if size is not None), default=None)


def whole_memory(root: Path = ROOT) -> int | None:
    """Bytes that there are altogether, taken or not."""
    found = [_of_system(root, "MemTotal"), *(_number(place / files.limit) for place, files in _groups(root))]
    return min((size for size in found if size is not None), default=None)


def resident(pid: int) -> int:
    """Bytes that the process holds now, shared pages of files included; 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _of_system(root: Path, name: str) -> int | None:
    found = re.search(rf"^{name}: *(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _groups(root: Path) -> Iterator[tuple[Path, _Files]]:
    """That of this process with all that it lies in, since the limit of each holds. In a container the path is often
    that of the host, which is not there: then the nearest that is."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, kinds, path = [*line.split(":", 2), "", ""][:3]
        if kinds and "memory" not in kinds.split(","):
            continue
        files = FIRST if kinds else SECOND
        if number.isdecimal():
            for place in (PurePosixPath(path), *PurePosixPath(path).parents):
                yield root / files.folder / str(place).lstrip("/"), files


def _left(place: Path, files: _Files) -> int | None:
    limit, usage = _number(place / files.limit), _number(place / files.usage)
    if limit is None or usage is None:
        return None
    found = re.search(rf"^{files.given_back} (\d+)$", _text(place / "memory.stat"), re.MULTILINE)
    return max(0, limit - usage + (int(found[1]) if found else 0))


def _number(path: Path) -> int | None:
    """None for `max`, too."""
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
