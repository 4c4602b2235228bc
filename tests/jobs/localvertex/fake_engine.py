"""In place of the training engine: the same files and events without a model, in a tenth of a second.

The first row's prompt says how it goes: `fail: …`, `crash once`, `crash always`, `hold` (until cancelled),
`slowly`, `steps`, `short once` and `short always` (of disk), `diverges` (in the second epoch).
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

STEPS_PER_EPOCH = 4
state = {"stop": False}


def main() -> int:
    command, target = sys.argv[1], Path(sys.argv[-1])
    signal.signal(signal.SIGTERM, lambda *_: state.update(stop=True))
    threading.Thread(target=leave_with_parent, args=(os.getppid(),), daemon=True).start()
    if command == "convert":
        return convert()
    if command == "count":
        print(json.dumps({"event": "counted", "tokens": 10 * len(Path(sys.argv[3]).read_text().splitlines())}))
        return 0
    if command == "pace":
        print("Loading.", json.dumps({"event": "measured", "load": 5.0, "step": 0.5, "token": 0.01}), sep="\n")
        return 0 if sys.argv[3] == "PEFT_ADAPTER" else 1
    if command == "prepare":
        target.mkdir(parents=True)
        (target / "config.json").write_text("{}")
        return 0
    return train(target)


def convert() -> int:
    """`convert FOLDER OUT.gguf`, and `convert --help` for the asking."""
    if sys.argv[2] == "--help":
        return 0
    if not (Path(sys.argv[2]) / "model.safetensors").is_file():
        print("There is no model.safetensors.")
        return 1
    folder = json.loads((Path(sys.argv[2]) / "config.json").read_text()).get("of")
    Path(sys.argv[3]).write_bytes(f"converted from {folder}".encode() if folder else b"converted")
    return 0


def train(folder: Path) -> int:
    job = json.loads((folder / "job.json").read_text())
    rows = [json.loads(line) for line in Path(job["train_path"]).read_text().splitlines()]
    wish = rows[0]["prompt"] if "prompt" in rows[0] else rows[0]["messages"][0]["content"]
    print("The fake engine starts.", flush=True)
    tell(folder, event="loading")
    if wish.startswith("fail"):
        tell(folder, event="failed", code="INVALID_ARGUMENT", message=wish.removeprefix("fail: "))
        return 1
    if wish == "short always":
        return 5
    start = last_step(folder)
    total = job.get("max_steps") or job["epochs"] * STEPS_PER_EPOCH
    if not Path(job.get("adapter_dir") or ".").is_dir():
        tell(folder, event="failed", code="INTERNAL", message="There is no adapter to begin with.")
        return 1
    if not start:
        tell(folder, **statistics(rows, total, job["epochs"]))
    for step in range(start + 1, total + 1):
        if state["stop"]:
            tell(folder, event="cancelled")
            return 3
        tell(
            folder,
            event="step",
            step=step,
            epoch=step / STEPS_PER_EPOCH,
            loss=float("nan") if wish == "diverges" and step > STEPS_PER_EPOCH else 4 / step,
            token_accuracy=step / total,
            num_predictions=20,
            learning_rate=0.001,
        )
        if wish == "diverges" and step > STEPS_PER_EPOCH:
            message = f"The training diverged: its loss is not a number at step {step}. Use a lower learning rate."
            tell(folder, event="failed", code="INVALID_ARGUMENT", message=message)
            return 1
        if wish == "slowly":
            time.sleep(0.06)
        if step % STEPS_PER_EPOCH == 0:
            end_of_epoch(folder, job, step)
            crash(folder, wish)
            if wish == "short once" and not (folder / "crashed").exists():
                (folder / "crashed").touch()
                return 5
        while wish == "hold" and step == STEPS_PER_EPOCH + 1 and not state["stop"]:
            time.sleep(0.02)
    export(folder, job)
    return 0


def statistics(rows, total, epochs):
    tokens = [10 + index for index in range(len(rows))]
    return {
        "event": "data_stats",
        "examples": len(rows),
        "validation_examples": 0,
        "characters": 400,
        "tokens": sum(tokens),
        "billable_tokens": sum(tokens) * epochs,
        "steps": total,
        "steps_per_epoch": STEPS_PER_EPOCH,
        "truncated": [1],
        "dropped_rows": [],
        "dropped": 0,
        "input_tokens": tokens,
        "output_tokens": tokens,
    }


def end_of_epoch(folder, job, step):
    epoch = step // STEPS_PER_EPOCH
    if job["validation_path"]:
        tell(folder, event="eval", step=step, epoch=epoch, loss=5 / step, token_accuracy=0.5, num_predictions=7)
    checkpoint = folder / f"checkpoints/checkpoint-{step}"
    checkpoint.mkdir(parents=True, exist_ok=True)
    if job["tuning_mode"] == "FULL":
        whole_model(checkpoint)
    else:
        (checkpoint / "adapter_config.json").write_text(adapter_config(job))
        (checkpoint / "adapter_model.safetensors").write_bytes(b"weights")
        (checkpoint / "adapter.gguf").write_bytes(b"adapter")
    (checkpoint / "trainer_state.json").write_text("{}")
    (checkpoint / "optimizer.pt").write_bytes(b"heavy")
    tell(folder, event="checkpoint", step=step, epoch=epoch, path=f"checkpoints/checkpoint-{step}")


def crash(folder, wish):
    marker = folder / "crashed"
    if wish == "crash always" or (wish == "crash once" and not marker.exists()):
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def export(folder, job):
    tell(folder, event="exporting")
    final = folder / "final"
    final.mkdir(exist_ok=True)
    whole_model(final)
    if job["tuning_mode"] == "PEFT_ADAPTER":
        adapter(final, job)
    tell(folder, event="done")


def whole_model(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"merged")


def adapter_config(job) -> str:
    return json.dumps({"r": job["adapter_size"], "lora_alpha": job.get("lora_alpha", 2 * job["adapter_size"])})


def adapter(final: Path, job) -> None:
    (final / "adapter").mkdir(exist_ok=True)
    (final / "adapter/adapter_config.json").write_text(adapter_config(job))
    (final / "adapter/adapter_model.safetensors").write_bytes(b"weights")
    (final / "adapter/adapter.gguf").write_bytes(b"adapter")


def last_step(folder: Path) -> int:
    return max((int(path.name.split("-")[1]) for path in folder.glob("checkpoints/checkpoint-*")), default=0)


def tell(folder: Path, **event) -> None:
    with (folder / "events.jsonl").open("a") as file:
        file.write(json.dumps(event | {"time": time.time()}) + "\n")


def leave_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(4)


if __name__ == "__main__":
    sys.exit(main())
