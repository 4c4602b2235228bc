"""Machines as Linux describes them in /sys/devices/system/cpu."""

import os
from pathlib import Path

import pytest

from jobs.localvertex.devices.cores import count_cores


def describe(folder: Path, siblings: dict[int, str]) -> Path:
    for number, text in siblings.items():
        (folder / f"cpu{number}/topology").mkdir(parents=True)
        (folder / f"cpu{number}/topology/thread_siblings_list").write_text(f"{text}\n")
    return folder


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Only Linux says which processors a process may use.")
@pytest.mark.parametrize("at_once", [1, 2])
def test_threads_of_one_core_are_one(tmp_path: Path, at_once: int) -> None:
    usable = sorted(os.sched_getaffinity(0))
    system = describe(tmp_path, {number: str(place // at_once) for place, number in enumerate(usable)})
    assert count_cores(system) == -(-len(usable) // at_once)


def test_a_system_that_does_not_say(tmp_path: Path) -> None:
    assert count_cores(tmp_path) is None
