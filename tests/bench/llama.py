"""llama.cpp's server as it comes: `python -m tests.bench.llama CONFIG_JSON`, as the local Vertex AI starts its own.

Model, chat template, slots, and context are those of the configuration. All that decides about speed is llama.cpp's own
default: threads, sizes of batches, waiting, caches.
"""

import json
import os
import sys
import time
from pathlib import Path

import xllamacpp


def main() -> None:
    config = json.loads(sys.argv[1])
    p = xllamacpp.CommonParams()
    p.model.path = config["model"]
    p.chat_template = config["chat_template"]
    p.use_jinja = True
    p.n_parallel = config["slots"]
    p.n_ctx = config["context"] * config["slots"]
    p.hostnames = [config["socket"]]
    p.api_keys = [os.environ["SERVING_API_KEY"]]
    p.ui = False
    server = xllamacpp.Server(p)
    Path(config["port_file"]).write_text(json.dumps({"socket": config["socket"], "pid": os.getpid()}))
    while os.getppid() == config["parent"]:
        time.sleep(1)
    del server
    os._exit(0)


if __name__ == "__main__":
    main()
