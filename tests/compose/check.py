"""The containers as a team gets them: `make test-compose`.

Builds the image, starts everything from empty volumes, walks the main journey through HTTP with tiny models, kills what
can be killed, starts two of each, once more without a volume in common, stops and starts, backs up and restores, and
upgrades from the commit before. Prints what it measured; leaves nothing behind.
"""

import argparse
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from tests.compose import parts
from tests.compose.apart import apart
from tests.compose.engine import Engine, Stack, find_engine
from tests.compose.figures import Figures
from tests.compose.upgrade import upgrade
from tests.support.localservers import free_port
from tests.support.running import GEMMA, ROOT

SEES = "google/gemma3@gemma-3-4b-it"
LOCAL_OPTIONS = f"--prepare when-needed --base-model {GEMMA}=/models/tiny-gemma3 --base-model {SEES}=/seeing"
PARTS: dict[str, Callable[[parts.Console], None]] = {
    "journey": parts.journey_to_a_chat,
    "credentials": parts.credentials,
    "crashes": parts.kill_each,
    "crash-of-all": parts.kill_all,
    "two": parts.two_of_each,
    "apart": apart,
    "again": parts.down_and_up,
    "backup": parts.backup_and_restore,
    "upgrade": upgrade,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts", nargs="*", choices=[*PARTS, []], help="some parts only; the journey always comes first"
    )
    parser.add_argument(
        "--podman-compose", default=str(Path(sys.executable).parent.parent / "compose/bin/podman-compose")
    )
    parser.add_argument("--build-options", default=os.environ.get("BUILD_OPTIONS", ""), help="for the engine's build")
    parser.add_argument(
        "--keep-image", metavar="NAME", help="an image that is there already, not built and not removed"
    )
    parser.add_argument("--overlays", action="store_true", help="with compose.external.yml and compose.tls.yml")
    options = parser.parse_args()
    engine, figures = find_engine(options.podman_compose), Figures()
    # Beside an image that stays, the layers that it shares with others may stay, too.
    build_options = options.build_options.split() + ([] if options.keep_image else parts.marks(engine))
    name = f"console-test-{secrets.token_hex(3)}"
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as folder:
        image = options.keep_image or f"{name}-image"
        with (
            nullcontext() if options.keep_image else built(engine, image, build_options, figures),
            project(engine, name, image, Path(folder), options.overlays) as stack,
        ):
            console = parts.Console(stack, figures, build_options)
            wanted = options.parts or [part for part in PARTS if not (options.overlays and part == "upgrade")]
            for part in ["journey", *(one for one in wanted if one != "journey")]:
                began = time.monotonic()
                print(f"== {part}", flush=True)
                PARTS[part](console)
                print(f"   {time.monotonic() - began:.0f} s", flush=True)
    print(figures.table())
    return 0


@contextmanager
def built(engine: Engine, image: str, build_options: list[str], figures: Figures) -> Iterator[None]:
    began = time.monotonic()
    try:
        parts.build(engine, ROOT, image, build_options)
        figures.add("build of the image with the local extra", time.monotonic() - began, "s")
        figures.add("its size", parts.size(engine, image), "MB")
        yield
    finally:
        parts.remove_images(engine, image)


@contextmanager
def project(engine: Engine, name: str, image: str, folder: Path, overlays: bool) -> Iterator[Stack]:
    stack = Stack(engine, name, folder, settings(image))
    if overlays:
        stack.environment |= elsewhere(stack.environment)
        stack.files += [ROOT / "compose.external.yml", ROOT / "compose.tls.yml", ROOT / "tests/compose/elsewhere.yml"]
    stack.files.append(ROOT / "tests/compose/tiny.yml")
    try:
        yield stack
    except BaseException:
        stack.tell()
        raise
    finally:
        stack.down(volumes=True)
        left = [word for kind in ("ps", "volume") for word in remains(engine, kind, name)]
        if left:
            raise SystemExit(f"Left behind: {left}")


def remains(engine: Engine, kind: str, name: str) -> list[str]:
    words = ["ps", "--all"] if kind == "ps" else [kind, "ls"]
    form = "{{.Names}}" if kind == "ps" else "{{.Name}}"
    return [line for line in engine(*words, "--format", form).split() if line.startswith(name)]


def settings(image: str) -> dict[str, str]:
    """A file .env, made as .env.example says."""
    return {
        **{name: secrets.token_hex(32) for name in ("CONSOLE_SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD")},
        "CONSOLE_IMAGE": image,
        "CONSOLE_PORT": str(free_port()),
        "CONSOLE_EXTRAS": "local",
        "VERTEX_API_ENDPOINT": "http://vertex:8085",
        "STORAGE_EMULATOR_HOST": "http://storage:9023",
        "VERTEX_POLL_SECONDS": "2",
        "CONSOLE_LOCAL_OPTIONS": LOCAL_OPTIONS,
    }


def elsewhere(given: dict[str, str]) -> dict[str, str]:
    return {
        "DATABASE_URL": f"postgres://somebody:{given['POSTGRES_PASSWORD']}@database-elsewhere:5432/something",
        "REDIS_URL": f"redis://:{given['REDIS_PASSWORD']}@redis-elsewhere:6379/0",
        "CONSOLE_HOST": "localhost",
        "CONSOLE_HTTP_PORT": str(free_port()),
        "CONSOLE_HTTPS_PORT": str(free_port()),
    }


if __name__ == "__main__":
    sys.exit(main())
