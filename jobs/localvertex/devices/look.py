"""What this machine has, without loading PyTorch or llama.cpp into this process."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from jobs.localvertex.devices.machine import CPU, CUDA, METAL, MPS, OTHER, Card, Machine

SECONDS = 10
OLDEST_SECONDS = 2.0
MEGABYTE = 2**20
VISIBLE = "CUDA_VISIBLE_DEVICES"
FACTS = "uuid,name,memory.total,memory.free,compute_cap"
QUESTION = ("nvidia-smi", f"--query-gpu={FACTS}", "--format=csv,noheader,nounits")
# Which backends llama.cpp brings: its devices by type and name, in a process that ends again.
ASK_LLAMA = (
    "import json, xllamacpp\n"
    "print(json.dumps([[device['name'], device['type'].name] for device in xllamacpp.get_device_info()]))"
)


def look(environment: Mapping[str, str] = os.environ) -> Machine:
    """Takes no time on a machine without a GPU; half a second otherwise, most of it for llama.cpp."""
    cards = list_cards()
    visible = filter_visible(cards, environment.get(VISIBLE))
    is_apple = sys.platform == "darwin" and platform.machine() == "arm64"
    built, cuda = read_torch_build(_folder_of("torch"), is_apple=is_apple)
    return Machine(
        cards=visible,
        torch=built,
        cuda=cuda,
        llama=ask_llama() if visible or is_apple else CPU if find_spec("xllamacpp") else "",
        has_apple_gpu=is_apple,
        macos=_version(platform.mac_ver()[0]),
        has_flash_attention=find_spec("flash_attn") is not None,
        has_bitsandbytes=find_spec("bitsandbytes") is not None,
        hidden=len(cards) - len(visible),
    )


class RecentLook:
    """What the machine had a moment ago: whoever asks many times a second starts no program each time, also where the
    program takes seconds to answer."""

    def __init__(self, look: Callable[[], Machine] = look, read_clock: Callable[[], float] = time.monotonic) -> None:
        self._look, self._read_clock = look, read_clock
        self._lock = threading.Lock()
        self._found: tuple[float, Machine] | None = None

    def __call__(self) -> Machine:
        with self._lock:
            if self._found is None or self._read_clock() - self._found[0] >= OLDEST_SECONDS:
                machine = self._look()
                self._found = self._read_clock(), machine
            return self._found[1]


def list_cards() -> tuple[Card, ...]:
    """By the driver's own program; none where it is missing or finds no driver."""
    if shutil.which(QUESTION[0]) is None:
        return ()
    try:
        answer = subprocess.run(QUESTION, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return parse_cards(answer.stdout) if answer.returncode == 0 else ()


def parse_cards(text: str) -> tuple[Card, ...]:
    """Lines of FACTS, sizes in MiB. A line that is none, such as that of a card that has failed, is left out."""
    cards = []
    for line in text.splitlines():
        facts = [fact.strip() for fact in line.split(",")]
        if len(facts) == len(FACTS.split(",")) and facts[2].isdigit() and facts[3].isdigit():
            total, free = (int(size) * MEGABYTE for size in facts[2:4])
            cards.append(Card(facts[0], facts[1], total, free, _version(facts[4])))
    return tuple(cards)


def filter_visible(cards: tuple[Card, ...], visible: str | None) -> tuple[Card, ...]:
    """As CUDA reads the variable: numbers or beginnings of ids, in the order given, up to the first that is neither."""
    if visible is None:
        return cards
    found: list[Card] = []
    for name in (part.strip() for part in visible.split(",")):
        named = [
            card for number, card in enumerate(cards) if name == str(number) or (name and card.id.startswith(name))
        ]
        if len(named) != 1:
            break
        found += named
    return tuple(found)


def read_torch_build(folder: Path | None, *, is_apple: bool) -> tuple[str, tuple[int, int]]:
    """By the file that names the versions PyTorch was built with."""
    try:
        text = (folder / "version.py").read_text(encoding="utf-8") if folder else ""
    except OSError:
        text = ""
    if not text:
        return "", (0, 0)
    if found := re.search(r"^cuda\b[^=]*= *'([\d.]+)'", text, re.MULTILINE):
        return CUDA, _version(found[1])
    if re.search(r"^(hip|xpu)\b[^=]*= *'[^']+'", text, re.MULTILINE):
        return OTHER, (0, 0)
    return (MPS if is_apple else CPU), (0, 0)


@cache
def ask_llama() -> str:
    """Empty where it is not installed. Asked once: what is installed stays the same while this runs."""
    try:
        answer = subprocess.run(
            [sys.executable, "-c", ASK_LLAMA], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        devices = json.loads(answer.stdout) if answer.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return ""
    return "" if devices is None else name_backend(devices)


def name_backend(devices: list[tuple[str, str]]) -> str:
    """`devices`: name and type of each, as llama.cpp has them."""
    names = [name.lower() for name, kind in devices if kind.endswith("GPU")]
    if not names:
        return CPU
    known = {"cuda": CUDA, "metal": METAL, "mtl": METAL}
    return next((known[start] for start in known if names[0].startswith(start)), OTHER)


def _folder_of(package: str) -> Path | None:
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def _version(text: str) -> tuple[int, int]:
    numbers = [int(part) for part in re.findall(r"\d+", text)[:2]]
    return (numbers[0], numbers[1] if len(numbers) > 1 else 0) if numbers else (0, 0)
