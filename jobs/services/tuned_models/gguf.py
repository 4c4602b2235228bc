"""A whole model as one GGUF file, by the engine that comes with the local server, where it is installed."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings

from jobs import shortages
from jobs.errors import NotAllowedNow
from jobs.files import store
from jobs.models import Takeaway, TakeawayForm
from jobs.text.deferred import gettext as _

from .content import PIECE, Content, of_file

NEEDED = ("torch", "gguf", "transformers", "xllamacpp")
FAMILIES = ("google/gemma3@",)
TYPES = {TakeawayForm.GGUF_F16: "f16", TakeawayForm.GGUF_Q8_0: "q8_0", TakeawayForm.GGUF_Q4_K_M: "q4_k_m"}
# Of the 16-bit weights. Of the two smallest models the rows are no whole blocks of Q4_K, so it takes more.
SHARES = {TakeawayForm.GGUF_F16: 1.0, TakeawayForm.GGUF_Q8_0: 0.54, TakeawayForm.GGUF_Q4_K_M: 0.31}
SHARES_OF_SMALL = {"gemma-3-270m": 0.445, "gemma-3-1b": 0.41}
PROJECT = Path(__file__).parents[3]
SCRATCH, STORED = "cache/takeaways", "takeaways"
LONGEST_SECONDS = 3600.0
PASSED = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "PATH", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV")
POLL_SECONDS, TOLD_EVERY = 2.0, 64 * 2**20
_one_at_a_time = threading.Lock()


class Busy(Exception):
    """Another conversion is going on in this process."""


def why_not_convert(base_model: str) -> str:
    if not base_model.startswith(FAMILIES):
        return _("Only models of Gemma 3 are converted here. Download the whole model and convert it with llama.cpp.")
    if any(find_spec(name) is None for name in NEEDED):
        return _(
            "This console is installed without the engine that converts models. Download the whole model and convert "
            "it with llama.cpp."
        )
    return ""


def forget_scratch() -> None:
    """Older than any conversion that still goes on."""
    for place in (Path(settings.DATA_DIR) / SCRATCH).glob("*"):
        if time.time() - place.stat().st_mtime > 2 * LONGEST_SECONDS:
            shutil.rmtree(place, ignore_errors=True)


def work_of(form: str, whole: int, base_model: str) -> int:
    """Bytes to fetch, to write and to read again."""
    return whole + 2 * size_of(form, whole, base_model)


def size_of(form: str, whole: int, base_model: str) -> int:
    """About."""
    share = SHARES[TakeawayForm(form)]
    if form == TakeawayForm.GGUF_Q4_K_M:
        share = next((small for name, small in SHARES_OF_SMALL.items() if f"@{name}" in base_model), share)
    return round(whole * share)


def make(row: Takeaway, tell: Callable[[int], None]) -> list[dict[str, Any]]:
    """The files that take the place of those in `gs://`, in the file store. `tell` gets the bytes fetched so far, and
    is called now and then while it converts. The copies that it needs are gone afterwards, whatever happens. Raises
    Busy while another one is made."""
    if not _one_at_a_time.acquire(blocking=False):
        raise Busy
    try:
        return _make(row, tell)
    finally:
        _one_at_a_time.release()


def _make(row: Takeaway, tell: Callable[[int], None]) -> list[dict[str, Any]]:
    whole = sum(one["size"] for one in row.files)
    shortages.require_room(whole + size_of(row.form, whole, row.job.base_model))
    scratch = Path(settings.DATA_DIR) / SCRATCH
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryDirectory(dir=scratch) as place:
        source = Path(place) / "model"
        source.mkdir()
        _fetch(row, source, tell)
        made = Path(place) / "model.gguf"
        _convert(source, made, row, lambda: tell(whole + _bytes_of(made)))
        return [_keep(row, path) for path in sorted(Path(place).glob("*.gguf"))]


def _fetch(row: Takeaway, folder: Path, tell: Callable[[int], None]) -> None:
    done = told = 0
    for one in row.files:
        content = Content([of_file(one)])
        with (folder / Path(one["name"]).name).open("wb") as target:
            while part := content.read(PIECE):
                target.write(part)
                done += len(part)
                if done - told >= TOLD_EVERY:
                    told = done
                    tell(done)


def _bytes_of(target: Path) -> int:
    """Of what is being made beside its later name."""
    return sum(path.stat().st_size for path in target.parent.glob(f".{target.name}-*"))


def _convert(source: Path, target: Path, row: Takeaway, tell: Callable[[], None]) -> None:
    kind = TYPES[TakeawayForm(row.form)]
    command = [sys.executable, "-m", "jobs.localvertex.engine", "convert", str(source), str(target), "--type", kind]
    log, until = target.with_suffix(".log"), time.monotonic() + LONGEST_SECONDS
    with log.open("wb") as output:
        command.append(f"--name={row.job.display_name}")
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=PROJECT, env=child_environment())
    try:
        while child.poll() is None:
            if time.monotonic() > until:
                raise NotAllowedNow(_("The conversion took longer than an hour and was ended."))
            tell()
            time.sleep(POLL_SECONDS)
    finally:
        child.kill()
        child.wait()
    if child.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise NotAllowedNow(
            _("The model could not be converted: %s") % (lines[-1][:300] if lines else child.returncode)
        )


def child_environment() -> dict[str, str]:
    """The child reads files that anybody may have written, so it gets none of the worker's passwords, keys and tokens,
    and asks no hub."""
    return {name: os.environ[name] for name in PASSED if name in os.environ} | {"HF_HUB_OFFLINE": "1"}


def _keep(row: Takeaway, path: Path) -> dict[str, Any]:
    size, name = path.stat().st_size, f"{STORED}/{row.pk}.{path.name}"
    with store.draft(name) as draft:
        path.replace(draft)
        store.keep(draft, name)
    return {"name": path.name, "size": size, "source": name, "version": "", "sha256": ""}
