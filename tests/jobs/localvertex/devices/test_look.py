"""What the driver, PyTorch and llama.cpp tell, read without any of them being loaded."""

import os
from pathlib import Path

import pytest

from jobs.localvertex.devices.look import (
    RecentLook,
    ask_llama,
    filter_visible,
    list_cards,
    look,
    name_backend,
    parse_cards,
    read_torch_build,
)
from jobs.localvertex.devices.machine import CPU, CUDA, METAL, MPS, OTHER, Card, Machine

TOLD = """\
GPU-5f1a, NVIDIA GeForce RTX 4090, 24564, 23016, 8.9
GPU-77b0, NVIDIA GeForce GTX 1080, 8192, [N/A], 6.1
GPU-77b1, Tesla T4, 15360, 15095, 7.5
Unable to determine the device handle for GPU0000:41:00.0: Unknown Error
"""
BIG = Card("GPU-5f1a", "NVIDIA GeForce RTX 4090", 24564 * 2**20, 23016 * 2**20, (8, 9))
OLD = Card("GPU-77b1", "Tesla T4", 15360 * 2**20, 15095 * 2**20, (7, 5))


def test_lines_of_the_driver_are_cards_and_the_rest_is_not() -> None:
    assert parse_cards(TOLD) == (BIG, OLD)


@pytest.mark.parametrize(
    ("visible", "found"),
    [
        (None, (BIG, OLD)), ("", ()), ("-1", ()), ("1", (OLD,)), ("1,0", (OLD, BIG)), ("GPU-5f", (BIG,)),
        ("0,7,1", (BIG,)), ("GPU-", ()), (" 0 , GPU-77b1", (BIG, OLD)),
    ],
)  # fmt: skip
def test_cuda_visible_devices_is_read_as_cuda_reads_it(visible: str | None, found: tuple[Card, ...]) -> None:
    assert filter_visible((BIG, OLD), visible) == found


@pytest.mark.parametrize(
    ("lines", "is_apple", "found"),
    [
        ("cuda: Optional[str] = '12.8'\nhip: Optional[str] = None\n", False, (CUDA, (12, 8))),
        ("cuda: Optional[str] = None\nhip: Optional[str] = '6.4.1'\n", False, (OTHER, (0, 0))),
        ("cuda: Optional[str] = None\nhip: Optional[str] = None\n", False, (CPU, (0, 0))),
        ("cuda = None\n", True, (MPS, (0, 0))),
    ],
)
def test_what_pytorch_was_built_for_is_in_its_file(
    lines: str, is_apple: bool, found: tuple[str, tuple[int, int]], tmp_path: Path
) -> None:
    (tmp_path / "version.py").write_text(lines)
    assert read_torch_build(tmp_path, is_apple=is_apple) == found


def test_pytorch_that_is_not_there_was_built_for_nothing(tmp_path: Path) -> None:
    assert (read_torch_build(tmp_path, is_apple=False), read_torch_build(None, is_apple=True)) == (("", (0, 0)),) * 2


@pytest.mark.parametrize(
    ("devices", "found"),
    [
        ([("CPU", "GGML_BACKEND_DEVICE_TYPE_CPU")], CPU),
        ([("CUDA0", "GGML_BACKEND_DEVICE_TYPE_GPU"), ("CPU", "GGML_BACKEND_DEVICE_TYPE_CPU")], CUDA),
        ([("MTL0", "GGML_BACKEND_DEVICE_TYPE_GPU")], METAL),
        ([("Vulkan0", "GGML_BACKEND_DEVICE_TYPE_IGPU")], OTHER),
    ],
)
def test_llama_cpp_tells_its_backend_by_its_devices(devices: list[tuple[str, str]], found: str) -> None:
    assert name_backend(devices) == found


def make_driver(folder: Path, *lines: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    program.chmod(0o755)


def test_a_machine_with_a_driver_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_driver(tmp_path, *(f"echo '{line}'" for line in TOLD.splitlines()))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    found = look({"CUDA_VISIBLE_DEVICES": "1"})
    assert (found.cards, found.hidden, found.llama) == ((OLD,), 1, ask_llama())


@pytest.mark.parametrize(
    "line", ["exit 9", "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18"]
)
def test_a_driver_that_fails_is_a_machine_without_cards(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_driver(tmp_path, line)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert list_cards() == ()


def test_the_driver_is_asked_once_in_two_seconds() -> None:
    """Since it answered: a driver may take longer than that to answer."""
    clock, found = [0.0], iter([Machine((BIG,)), Machine((OLD,)), Machine()])

    def look_slowly() -> Machine:
        clock[0] += 3
        return next(found)

    recent_look, seen = RecentLook(look_slowly, lambda: clock[0]), []
    for seconds in (0.0, 1.9, 0.2, 1.9):
        clock[0] += seconds
        seen.append(recent_look().cards)
    assert seen == [(BIG,), (BIG,), (OLD,), (OLD,)]
