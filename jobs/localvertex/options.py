"""The command line."""

import argparse
import shlex
import sys
from pathlib import Path

from jobs.localvertex import standalone, transports
from jobs.localvertex.models import catalogue
from jobs.localvertex.serving.llama import HANG_SECONDS, SERVING_COMMAND
from jobs.localvertex.serving.pool import IDLE_SECONDS

DESCRIPTION = "Vertex AI for open models on this machine: tuning, endpoints and chat, without an account."
EPILOG = """\
environment:
  STORAGE_EMULATOR_HOST  http://HOST:PORT of a Cloud Storage emulator; without it, gs:// is Google's
  LOCALVERTEX_MODELS     own models, separated by colons: folders with Hugging Face files, model.gguf or both,
                         folders of such folders, and GGUF files; each appears as local/NAME@NAME

clients: set api_endpoint to the printed address, transport="rest", and any credentials. The variables that are printed
lead clients here that read them.
GET /healthz tells which base models are ready. SIGTERM stops the server and its children.
"""
PROGRAM = "localvertex"  # the console script
MAX_AT_ONCE = 16
ENGINE_COMMAND = (sys.executable, "-m", "jobs.localvertex.engine")
INSTANT_ENGINE = (sys.executable, "-m", "jobs.localvertex.instant")
INSTANT_SERVING = (sys.executable, "-m", "jobs.localvertex.instant.server")


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=PROGRAM if Path(sys.argv[0]).stem == PROGRAM else "python -m jobs.localvertex",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another host name by which clients may ask, such as that of a container",
    )
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one (default)")
    parser.add_argument(
        "--data-dir",
        type=Path,
        help="everything that this server remembers; with --instant, a folder of its own that goes when it ends",
    )
    parser.add_argument(
        "--port-file", type=Path, help='written once it listens: {"port": …, "pid": …, "environment": {…}}'
    )
    parser.add_argument(
        "--models-dir", type=Path, action="append", default=[], help="a folder that holds prepared base models"
    )
    parser.add_argument(
        "--base-model",
        type=_parse_folder,
        action="append",
        default=[],
        metavar="ID=FOLDER",
        help="a folder with Hugging Face files, model.gguf or both, e.g. local/tiny@tiny-gemma3=./tiny; without"
        " model.gguf it is converted when it is first deployed",
    )
    parser.add_argument(
        "--prepare",
        choices=("now", "when-needed"),
        default="now",
        help="when to convert base models for tuning (default: %(default)s, in the background)",
    )
    parser.add_argument(
        "--tuning-at-once",
        type=_count,
        default=1,
        metavar="N",
        help="how many tuning jobs and custom jobs run at a time; others wait, the oldest first (default: %(default)s)",
    )
    parser.add_argument(
        "--dedicated-hosts",
        action="store_true",
        help="give every dedicated endpoint a host name of its own and refuse the shared address for it, as Google"
        " does; off by default, since not every resolver knows ENDPOINT.REGION-NUMBER.prediction.localhost",
    )
    parser.add_argument(
        "--as-google",
        action="store_true",
        help="without anything that only this server does: Model Garden tells no licences and no facts, Google's"
        " machines only, dedicated hosts, results and metrics as Google documents them, no log in the bucket, and"
        " jobs that fail where Vertex AI's own accounts have no role on the bucket",
    )
    parser.add_argument(
        "--catalogue", type=Path, metavar="FILE", help="the models of Model Garden, in place of the list of this server"
    )
    transports.add_options(parser)
    standalone.add_options(parser)
    _serving_options(parser)
    parser.add_argument("--faults", type=Path, help="JSON list of faults for reliability tests; read at every request")
    parser.add_argument("--hang-seconds", type=_seconds, default=HANG_SECONDS, help=argparse.SUPPRESS)
    parser.add_argument("--engine-command", help=argparse.SUPPRESS)
    parser.add_argument("--serving-command", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.data_dir is None and not options.instant:
        parser.error("--data-dir is needed: what is tuned here is kept there. Only --instant does without.")
    options.dedicated_hosts |= options.as_google
    engine, serving = (INSTANT_ENGINE, INSTANT_SERVING) if options.instant else (ENGINE_COMMAND, SERVING_COMMAND)
    options.engine_command = shlex.split(options.engine_command) if options.engine_command else list(engine)
    options.serving_command = shlex.split(options.serving_command) if options.serving_command else list(serving)
    return options


def _serving_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--idle-unload",
        type=_seconds,
        default=IDLE_SECONDS,
        metavar="SECONDS",
        help="stop the model server of an endpoint that nobody used for so long; the next request starts it again;"
        " 0: never (default: %(default)g)",
    )
    parser.add_argument(
        "--serving-memory-mb",
        type=_megabytes,
        default=0,
        metavar="MB",
        help="what all model servers together may take; the least recently used idle one makes room for another"
        " (default: half of this machine's memory)",
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return seconds


def _count(text: str) -> int:
    if not 1 <= int(text) <= MAX_AT_ONCE:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to {MAX_AT_ONCE}")
    return int(text)


def _megabytes(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of megabytes")
    return int(text)


def _parse_folder(text: str) -> tuple[str, Path]:
    name, separator, folder = text.partition("=")
    if not separator or not catalogue.ID.match(name):
        raise argparse.ArgumentTypeError(f"{text!r} is not {{publisher}}/{{model}}@{{version}}=FOLDER")
    if not Path(folder).is_dir():
        raise argparse.ArgumentTypeError(f"{folder} is not a folder")
    return name, Path(folder).resolve()
