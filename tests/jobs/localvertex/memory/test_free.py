"""What may be taken, of described machines: the files that Linux has under /proc and /sys."""

import os
from pathlib import Path

import pytest

from jobs.localvertex.memory.free import free_memory, resident, whole_memory

GIGABYTE = 2**30
MEMINFO = "MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:    8388608 kB\n"
UNLIMITED = str(2**63 - 4096)


def machine(root: Path, groups: str = "", **files: str) -> Path:
    """`files`: by their path, with `__` for a slash."""
    written = {"proc/meminfo": MEMINFO, "proc/self/cgroup": groups}
    for name, text in (written | {name.replace("__", "/"): text for name, text in files.items()}).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def group(folder: str, limit: str, usage: int, given_back: int = 0) -> dict[str, str]:
    place = f"sys/fs/cgroup/{folder}".rstrip("/")
    stat = f"anon 1\ninactive_file {given_back}\nactive_file 5\n"
    return {f"{place}/memory.max": limit, f"{place}/memory.current": str(usage), f"{place}/memory.stat": stat}


def first_group(folder: str, limit: str, usage: int, given_back: int = 0) -> dict[str, str]:
    place = f"sys/fs/cgroup/memory/{folder}".rstrip("/")
    stat = f"inactive_file 7\ntotal_inactive_file {given_back}\n"
    return {
        f"{place}/memory.limit_in_bytes": limit,
        f"{place}/memory.usage_in_bytes": str(usage),
        f"{place}/memory.stat": stat,
    }


def test_without_limits_it_is_what_the_system_tells(tmp_path):
    found = machine(tmp_path)
    assert (free_memory(found), whole_memory(found)) == (8 * GIGABYTE, 16 * GIGABYTE)


def test_where_the_system_does_not_tell(tmp_path):
    assert (free_memory(tmp_path), whole_memory(tmp_path)) == (None, None)


def test_a_container_has_its_limit_less_what_it_uses(tmp_path):
    """Files that were read are not used: the kernel gives them back."""
    files = group("", str(4 * GIGABYTE), 3 * GIGABYTE, GIGABYTE)
    found = machine(tmp_path, "0::/\n", **files)
    assert (free_memory(found), whole_memory(found)) == (2 * GIGABYTE, 4 * GIGABYTE)


def test_the_nearest_limit_of_all_that_hold_counts(tmp_path):
    """As of a service of systemd, in a slice with a limit of its own."""
    files = group("user.slice/console.service", str(6 * GIGABYTE), GIGABYTE) | group(
        "user.slice", str(3 * GIGABYTE), 2 * GIGABYTE
    )
    found = machine(tmp_path, "0::/user.slice/console.service\n", **files)
    assert (free_memory(found), whole_memory(found)) == (GIGABYTE, 3 * GIGABYTE)


def test_a_group_without_a_limit_takes_nothing_away(tmp_path):
    found = machine(tmp_path, "0::/a\n", **group("a", "max", GIGABYTE))
    assert (free_memory(found), whole_memory(found)) == (8 * GIGABYTE, 16 * GIGABYTE)


@pytest.mark.parametrize("folder", ["docker/abc", ""])
def test_the_first_version_of_control_groups(tmp_path, folder):
    """`/docker/abc` is the path of the host: within the container the group is the root of the mount."""
    files = first_group(folder, str(2 * GIGABYTE), GIGABYTE, GIGABYTE // 2) | first_group("docker", UNLIMITED, 0)
    found = machine(tmp_path, "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n1:name=systemd:/docker/abc\n", **files)
    assert (free_memory(found), whole_memory(found)) == (GIGABYTE * 3 // 2, 2 * GIGABYTE)


def test_more_is_used_than_the_limit_allows(tmp_path):
    """For a moment, after the limit was lowered."""
    found = machine(tmp_path, "0::/\n", **group("", str(GIGABYTE), 2 * GIGABYTE))
    assert free_memory(found) == 0


def test_nonsense_is_no_limit(tmp_path):
    found = machine(tmp_path, "nonsense\n\n0:\n0::/\n", **{"sys/fs/cgroup/memory.max": "much"})
    assert (free_memory(found), whole_memory(found)) == (8 * GIGABYTE, 16 * GIGABYTE)


def test_what_a_process_holds():
    assert resident(os.getpid()) > 2**20
    assert resident(1 << 30) == 0
