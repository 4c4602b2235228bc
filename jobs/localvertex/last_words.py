"""Why a process that was started here has ended, by the last lines of what it wrote: text that nobody vouches for."""

import re
import signal
from pathlib import Path

TAIL = 64 * 1024
LONGEST_LINE, LONGEST = 300, 400

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
# Of llama.cpp, of the dynamic linker, and the last line of a Python traceback.
_ERROR = re.compile(r"(\S+ )?E |.*\berror\b|[\w.]*(Error|Exception)\b")
_LIBRARY = re.compile(r"\b([\w.+-]+\.so[.\d]*): cannot open shared object file")
_MODULE = re.compile(r"No module named '([\w.]+)'")
PACKAGES = {
    "libatomic.so.1": "libatomic1",
    "libgcc_s.so.1": "libgcc-s1",
    "libgomp.so.1": "libgomp1",
    "libstdc++.so.6": "libstdc++6",
}


def lines(log: Path) -> list[str]:
    """What is readable of the end of it, without what could change how a terminal or a page shows it."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            text = file.read(TAIL).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    cleaned = (_clean(line) for line in text.splitlines())
    return [line for line in cleaned if line]


def _clean(line: str) -> str:
    plain = "".join(letter if letter.isprintable() else " " for letter in _ANSI.sub("", line))
    return plain.rstrip()[:LONGEST_LINE]


def why(written: list[str], code: int | None) -> str:
    """`code`: as Popen gives it, negative for a signal."""
    errors = [line for line in written if _ERROR.match(line)] or written
    said = "; ".join(line.strip() for line in errors[-2:])[-LONGEST:]
    return " ".join(filter(None, (_sentence(said) or _describe_exit(code), remedy(said))))


def _sentence(text: str) -> str:
    return f"{text}." if text and text[-1] not in ".!?" else text


def _describe_exit(code: int | None) -> str:
    if code is None:
        return ""
    if code >= 0:
        return f"It wrote nothing and ended with code {code}."
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    cause = " The system does that when memory runs out." if -code == signal.SIGKILL else ""
    return f"It wrote nothing and was ended by the signal {name}.{cause}"


def remedy(said: str) -> str:
    """Where it is known."""
    if library := _LIBRARY.search(said):
        name = library[1]
        if package := PACKAGES.get(name):
            return f"The system lacks the library {name}. On Debian and Ubuntu, run: apt-get install {package}"
        return f"The system lacks the library {name}. Install the package that has it."
    if module := _MODULE.search(said):
        return f"Python lacks the module {module[1]}. Install the console again with its extra: pip install '.[local]'"
    return ""
