"""What a training is asked to do, and how it reports. Nothing here imports torch."""

import errno
import json
import math
import os
import time
from collections.abc import Container
from dataclasses import MISSING, dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self

EVENTS = "events.jsonl"
CHECKPOINTS = "checkpoints"
FINAL = "final"
QUANTIZATIONS = ("4bit", "8bit")
SCHEDULES = ("constant", "linear", "cosine")
MOST_SEED = 2**31 - 1
OUT_OF_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
MAX_UNWRITTEN = 2**20
MAX_CHECKPOINTS = 10
Code = Literal["INVALID_ARGUMENT", "INTERNAL", "RESOURCE_EXHAUSTED"]
INSTALL_QLORA = "Install it: pip install -e '.[local,qlora]'."


class JobError(Exception):
    """Ends the job as `failed`; the message is for the person who started it."""

    def __init__(self, message: str, code: Code = "INVALID_ARGUMENT") -> None:
        super().__init__(message)
        self.code = code


class Cancelled(BaseException):
    """SIGTERM arrived. Not an `Exception`, so that no library's broad handler swallows it."""


@dataclass(frozen=True)
class Job:
    base_model_dir: Path
    train_path: Path
    validation_path: Path | None
    epochs: int
    learning_rate: float
    tuning_mode: str
    adapter_size: int
    batch_size: int
    max_length: int
    seed: int
    threads: int
    display_name: str
    base_model: str
    adapter_dir: Path | None = None
    lora_alpha: int | None = None
    max_steps: int | None = None
    quantization: str | None = None
    warmup_ratio: float = 0.05  # of all steps, in which the learning rate rises from 0
    warmup_steps: int | None = None  # instead of that share
    lr_scheduler_type: str = "cosine"  # how it goes on from there
    weight_decay: float = 0.0
    custom_base: str | None = None  # where the weights in base_model_dir come from, when not from base_model itself

    @classmethod
    def read(cls, path: Path, leave_out: Container[str] = ()) -> Self:
        """`leave_out`: fields with a default that are of no importance to who reads."""
        try:
            stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            needed = [
                field.name
                for field in fields(cls)
                if field.default is MISSING or (field.name in stored and field.name not in leave_out)
            ]
            values = {name: stored[name] for name in needed}
        except (OSError, ValueError, KeyError) as error:
            raise JobError(f"The job description {path.name} cannot be used: {error!r}.", "INTERNAL") from error
        values["base_model_dir"] = Path(values["base_model_dir"])
        values["train_path"] = Path(values["train_path"])
        values["validation_path"] = Path(values["validation_path"]) if values["validation_path"] else None
        values["adapter_dir"] = Path(values["adapter_dir"]) if values.get("adapter_dir") else None
        job = cls(**values)
        job.check()
        return job

    def check(self) -> None:
        if self.tuning_mode not in ("PEFT_ADAPTER", "FULL"):
            raise JobError(f"Tuning mode {self.tuning_mode} is not supported here. Choose PEFT_ADAPTER or FULL.")
        for name in ("epochs", "batch_size", "max_length", "adapter_size"):
            if getattr(self, name) < 1:
                raise JobError(f"{name} must be 1 or more, not {getattr(self, name)}.")
        for name in ("lora_alpha", "max_steps"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise JobError(f"{name} must be 1 or more, not {getattr(self, name)}.")
        if not 0 < self.learning_rate <= 1:
            raise JobError(f"learning_rate must be above 0 and at most 1, not {self.learning_rate}.")
        if self.lr_scheduler_type not in SCHEDULES:
            raise JobError(f"lr_scheduler_type must be one of {', '.join(SCHEDULES)}, not {self.lr_scheduler_type!r}.")
        for name in ("warmup_ratio", "weight_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise JobError(f"{name} must be between 0 and 1, not {getattr(self, name)}.")
        if self.warmup_steps is not None and self.warmup_steps < 0:
            raise JobError(f"warmup_steps must be 0 or more, not {self.warmup_steps}.")
        if not (self.base_model_dir / "config.json").is_file():
            raise JobError(f"The weights of {self.base_model} are not on this machine. Prepare the model first.")
        if self.quantization is not None:
            self.check_quantization()

    def check_quantization(self) -> None:
        if self.quantization not in QUANTIZATIONS:
            raise JobError(f"quantization must be one of {', '.join(QUANTIZATIONS)}, not {self.quantization!r}.")
        if self.tuning_mode == "FULL":
            raise JobError("A quantised model cannot be tuned in full. Choose PEFT_ADAPTER.")
        if find_spec("bitsandbytes") is None:
            raise JobError(
                f"A base model in {self.quantization} needs bitsandbytes, which is not installed. {INSTALL_QLORA}"
            )


def checkpoint_epochs(epochs: int) -> set[int]:
    """Every epoch, or ten spread evenly that end with the last."""
    count = min(epochs, MAX_CHECKPOINTS)
    return {math.ceil(epochs * number / count) for number in range(1, count + 1)}


def say(text: str) -> None:
    """A line of the log that the person reads; on a full disk it is missing there, and nothing more."""
    try:
        print(time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()), text, flush=True)
    except OSError as error:
        if not is_short_of_disk(error):
            raise


def is_short_of_disk(error: BaseException | None) -> bool:
    """Also behind the error of a library: those that write in Rust have no number for it, only its words."""
    while error is not None:
        number = getattr(error, "errno", None)
        if number in OUT_OF_DISK or any(os.strerror(code) in str(error) for code in OUT_OF_DISK):
            return True
        error = error.__cause__ or error.__context__
    return False


class EventLog:
    """Append-only JSON lines. A line that a full disk does not take is kept and written before the next one, so a
    reader sees none out of turn; one that was cut off by a kill gets its end."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._unwritten = b"\n" if self._cut_off(path) else b""

    @staticmethod
    def _cut_off(path: Path) -> bool:
        """A process killed while writing leaves a line without its end."""
        content = path.read_bytes()
        return bool(content) and not content.endswith(b"\n")

    def write(self, event: str, **values: Any) -> None:
        line = json.dumps({"event": event, **values, "time": round(time.time(), 3)}, ensure_ascii=False)
        self._unwritten += line.encode() + b"\n"
        try:
            self.flush()
        except OSError as error:
            if not is_short_of_disk(error) or len(self._unwritten) > MAX_UNWRITTEN:
                raise

    def flush(self) -> None:
        while self._unwritten:
            self._unwritten = self._unwritten[os.write(self._file, self._unwritten) :]
