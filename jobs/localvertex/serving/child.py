"""One llama.cpp server in a process of its own: `python -m jobs.localvertex.serving.child CONFIG_JSON`.

SERVING_API_KEY is what its callers must know. Writes {"socket", "pid"} to the port file once the model is loaded and
HTTP listens at that socket, which is the readiness signal. Leaves within a second when its parent is gone.
"""

import fcntl
import json
import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

import xllamacpp

from jobs.localvertex.devices.choice import NONE, Serving, choose_for_serving
from jobs.localvertex.devices.look import name_backend
from jobs.localvertex.devices.machine import Machine

PARENT_CHECK_SECONDS = 0.5
TEXT_BATCH, IMAGE_BATCH = 64, 256
SAMPLING = {
    "temperature": "temp",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "penalty_repeat",
    "frequency_penalty": "penalty_freq",
    "presence_penalty": "penalty_present",
    "dry_multiplier": "dry_multiplier",
}
# In tokens, how far penalties look back: in llama.cpp's own 64, a paragraph is forgotten before it comes again.
PENALTY_WINDOW, SEQUENCE_WINDOW = 256, 512
# llama.cpp takes a parameter from the file unless its bit says that it was chosen.
ALL_CHOSEN = 0x7FFFFFFF


def choose_device() -> Serving:
    devices = [(device["name"], device["type"].name) for device in xllamacpp.get_device_info()]
    return choose_for_serving(Machine(llama=name_backend(devices)))


def parameters(config: dict[str, Any], gpu_layers: int) -> Any:
    p = xllamacpp.CommonParams()
    p.model.path = config["model"]
    p.n_gpu_layers = gpu_layers
    if config.get("mmproj"):
        p.mmproj.path = config["mmproj"]
        p.mmproj_use_gpu = gpu_layers != NONE
    if config.get("adapter"):
        p.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(config["adapter"], 1.0)]
    p.chat_template = config["chat_template"]
    p.use_jinja = True
    p.n_ctx = config["context"] * config["slots"]
    p.n_parallel = config["slots"]
    p.kv_unified = True
    p.kv_unified_per_slot = config["context"]
    # A client who leaves is noticed between batches. The tokens of an image have to be in one.
    p.n_batch = IMAGE_BATCH if config.get("mmproj") else TEXT_BATCH
    # Each is a copy of a slot's near layers, made at every turn: by default up to 32 a slot.
    p.n_ctx_checkpoints = 1
    p.cpuparams.n_threads, p.cpuparams_batch.n_threads = config["threads"], config["threads_together"]
    # Busy waiting starves a training on the same cores; without it a quiet machine is as fast.
    p.cpuparams.poll = p.cpuparams_batch.poll = 0
    # The prompt cache in RAM is keyed by tokens alone and grows without need: slots keep their own.
    p.cache_ram_mib = 0
    p.hostnames = [config["socket"]]
    p.api_keys = [os.environ.pop("SERVING_API_KEY")]
    p.model_alias = {config["alias"]}
    p.endpoint_slots = True
    p.endpoint_metrics = True
    p.ui = False
    p.sampling.user_sampling_config = ALL_CHOSEN
    p.sampling.penalty_last_n, p.sampling.dry_penalty_last_n = PENALTY_WINDOW, SEQUENCE_WINDOW
    for name, value in config.get("sampling", {}).items():
        setattr(p.sampling, SAMPLING[name], value)
    return p


def main() -> None:
    config = json.loads(sys.argv[1])
    parent = int(config["parent"])
    leave = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leave.set())
    threading.Thread(target=_watch, args=(parent, leave, Path(config["socket"])), daemon=True).start()
    port_file = Path(config["port_file"])
    lock = _only_one(port_file.with_name("lock"))
    chosen = choose_device()
    print(chosen.reason, flush=True)
    server = xllamacpp.Server(parameters(config, chosen.gpu_layers))
    partial = port_file.with_suffix(".partial")
    partial.write_text(json.dumps({"socket": config["socket"], "pid": os.getpid()}))
    partial.replace(port_file)
    leave.wait()
    del server
    lock.close()
    os._exit(0)


def _only_one(path: Path) -> TextIO:
    """A server that was killed leaves its children for half a second: the next one's wait that long."""
    lock = path.open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _watch(parent: int, leave: threading.Event, socket: Path) -> None:
    while not leave.wait(PARENT_CHECK_SECONDS):
        if os.getppid() != parent:
            shutil.rmtree(socket.parent, ignore_errors=True)
            os._exit(0)


if __name__ == "__main__":
    main()
