"""From the image and the compose file of the commit before, with its volumes."""

import json
import shlex
import time
from dataclasses import replace
from typing import Any

from tests.compose import parts
from tests.compose.engine import Stack, call
from tests.support import journey
from tests.support.running import ROOT

LOCAL_SERVER = ["python", "-m", "jobs.localvertex", "--host", "0.0.0.0", "--allow-host", "vertex", "--port", "8085"]
LOCAL_SERVER += ["--data-dir", "/data/localvertex"]


def upgrade(console: parts.Console) -> None:
    """From the commit before, with its own compose file, in a project of its own."""
    current, image = console.stack, f"{console.stack.name}-before"
    old = older(current, image)
    try:
        parts.build(current.engine, old.folder / "source", image, console.build_options)
        with parts.in_its_place(console, old) as other:
            old.up()
            parts.until("everything is ready", lambda: parts.is_ready(other))
            go_on_with(other, current)
    finally:
        parts.remove_images(current.engine, image)


def go_on_with(console: parts.Console, current: Stack) -> None:
    """While a job runs."""
    parts.make_owner(console)
    with console.visitor() as person:
        journey.wait_for_catalogue(person)
        job = parts.begin_long(person)
    began = time.monotonic()
    console.stack = replace(console.stack, files=current.files, environment=current.environment)
    console.stack.up()
    parts.until("everything is ready", lambda: parts.is_ready(console))
    console.figures.add("upgrade from the commit before, everything ready after", time.monotonic() - began, "s")
    with console.visitor() as person:
        journey.wait_for_state(person, job, "Succeeded", parts.PATIENCE)


def older(current: Stack, image: str) -> Stack:
    """Another project, with the files of that commit, on the same port."""
    folder = current.folder / "older"
    source, archive, over = folder / "source", folder / "source.tar", folder / "over.yml"
    source.mkdir(parents=True)
    call(["git", "archive", "--output", str(archive), "HEAD~1"])
    call(["tar", "-x", "-f", str(archive), "-C", str(source)])
    compose = source / "docker-compose.yml"
    port = current.environment["CONSOLE_PORT"]
    compose.write_text(compose.read_text().replace("127.0.0.1:8000:8000", f"127.0.0.1:{port}:8000"))
    ours = (*parts.STATELESS, "migrate", *parts.LOCAL)
    services: dict[str, dict[str, Any]] = {name: {"image": image} for name in ours}
    seeing = f"{ROOT}/jobs/localvertex/models/shapes_and_colours:/seeing:ro"
    services["vertex"]["volumes"] = [f"{ROOT}/tests/fixtures:/models:ro", seeing]
    services["vertex"]["command"] = [*LOCAL_SERVER, *shlex.split(current.environment["CONSOLE_LOCAL_OPTIONS"])]
    over.write_text(json.dumps({"services": services}))
    password = current.environment["POSTGRES_PASSWORD"]
    environment = current.environment | {"CONSOLE_IMAGE": image}
    environment |= {"DATABASE_URL": f"postgres://console:{password}@postgres:5432/console"}
    return replace(current, name=f"{current.name}-older", folder=folder, files=[compose, over], environment=environment)
