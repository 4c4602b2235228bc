"""`make up` and the beginning of `make test` on machines with nothing: `make test-bare`.

Each machine is a container of a plain image with make and, where the image brings no Python, python3-venv. What the two
commands then say is missing is installed by the very command that they name. Prints what was measured; leaves nothing.
"""

import argparse
import json
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.compose.engine import Engine, Failed, find_program
from tests.compose.figures import Figures
from tests.support.running import ROOT

DEBIAN, PYTHON = "debian:trixie", "python:3.11-slim-trixie"
PACKAGES = {DEBIAN: "make python3-venv", PYTHON: "make"}
MACHINES = {
    "debian-root": (DEBIAN, "root"),
    "debian-user": (DEBIAN, "somebody"),
    "python3.11-root": (PYTHON, "root"),
    "python3.11-user": (PYTHON, "somebody"),
}
RECIPE = """FROM {base}
RUN apt-get update -q && apt-get install -yq --no-install-recommends {packages} && useradd --create-home somebody
"""
FOLDER = "/srv/console"
# Of all tests, these: imports, what a machine needs, and pages in a browser, of a console with a model.
SOME_TESTS = ["tests/test_architecture.py", "tests/console/test_preflight.py", "tests/e2e/test_settings.py"]
INSTALLING = 2400
SOON = 20
COMMAND = re.compile(r"^    (?:sudo )?(apt-get install .+)$", re.M)


@dataclass(frozen=True)
class Machine:
    """`name` is the container's, `title` what a person calls it."""

    engine: Engine
    title: str
    name: str
    user: str
    figures: Figures

    def run(self, *command: str, user: str = "", patience: float = 120) -> str:
        place = ["--workdir", FOLDER, "--user", user or self.user]
        return self.engine("exec", *place, self.name, *command, patience=patience)

    def install(self, command: str) -> None:
        """As whoever looks after the machine."""
        print(f"   {command}", flush=True)
        self.run("sh", "-c", f"yes | {command}", user="root", patience=600)

    def refusal(self, *command: str) -> str:
        """What it says. It may not take long, and it may not go well."""
        began = time.monotonic()
        try:
            self.run(*command, patience=INSTALLING)
        except Failed as failed:
            self.figures.add(
                f"{self.title}: `{' '.join(command)}` says what is missing after", seconds_since(began), "s"
            )
            return str(failed)
        raise AssertionError(f"{command} went well on a machine that has nothing")


def seconds_since(began: float) -> float:
    return time.monotonic() - began


def main() -> int | str:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("machines", nargs="*", choices=[*MACHINES, []], help="some machines only")
    parser.add_argument("--build-options", default="", help="for the engine's build")
    parser.add_argument("--run-options", default="", help="for the engine's run")
    options = parser.parse_args()
    engine, figures, failed = find_program(), Figures(), []
    for name in options.machines or MACHINES:
        print(f"== {name}", flush=True)
        try:
            with started(engine, name, options, figures) as machine:
                say_what_is_missing(machine)
                bring_up(machine)
                begin_tests(machine)
        except (AssertionError, Failed, subprocess.TimeoutExpired) as error:
            failed.append(name)
            print(f"   failed: {error}", flush=True)
    print(figures.table())
    return f"Failed: {', '.join(failed)}" if failed else 0


@contextmanager
def started(engine: Engine, name: str, options: argparse.Namespace, figures: Figures) -> Iterator[Machine]:
    base, user = MACHINES[name]
    unique = f"console-bare-{name}-{secrets.token_hex(3)}"
    with tempfile.TemporaryDirectory(prefix="console-bare-") as folder:
        (Path(folder) / "Containerfile").write_text(RECIPE.format(base=base, packages=PACKAGES[base]))
        recipe = ["--file", f"{folder}/Containerfile", "--tag", unique, folder]
        try:
            engine("build", *options.build_options.split(), *recipe)
            engine(
                "run", "--detach", "--init", "--name", unique, *options.run_options.split(), unique, "sleep", "infinity"
            )
            machine = Machine(engine, name, unique, user, figures)
            copy_project(machine, Path(folder) / "project.tar")
            yield machine
        finally:
            engine("rm", "--force", "--volumes", unique)
            engine("rmi", "--force", unique)


def copy_project(machine: Machine, archive: Path) -> None:
    """What git knows, as it lies here."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-cf", archive, "--null", "-T", "-"], cwd=ROOT, input=listed, check=True)
    machine.engine("cp", str(archive), f"{machine.name}:/tmp/project.tar")
    as_root = ["exec", "--user", "root", machine.name]
    machine.engine(*as_root, "mkdir", "--parents", FOLDER)
    machine.engine(*as_root, "tar", "-xf", "/tmp/project.tar", "-C", FOLDER, "--no-same-owner")
    machine.engine(*as_root, "chown", "-R", machine.user, FOLDER)


def say_what_is_missing(machine: Machine) -> None:
    """Before it makes an environment, let alone downloads something."""
    began = time.monotonic()
    said = machine.refusal("make", "up")
    assert seconds_since(began) < SOON, said
    assert "libgomp.so.1 is missing" in said, said
    machine.run("test", "!", "-e", ".venv")
    machine.install(COMMAND.findall(said)[0])


def bring_up(machine: Machine) -> None:
    """Until the link that it prints leads to a page; then Ctrl-C."""
    seen = json.loads(machine.run("python3", "tests/bare/inside.py", patience=INSTALLING).splitlines()[-1])
    assert (seen["status"], seen["left"]) == (200, []), seen
    for what in ("seconds until Ready", "seconds until it has ended"):
        machine.figures.add(f"{machine.title}: `make up`, Python {seen['python']}, {what}", seen[what], "s")
    for folder in (".venv", "data"):
        size = int(machine.run("du", "-sm", folder).split()[0])
        machine.figures.add(f"{machine.title}: size of {folder}, PyTorch {seen['torch']}", size, "MB")


def begin_tests(machine: Machine) -> None:
    """A user without rights may be told to have a browser installed; somebody does, and it goes on."""
    said = machine.refusal("make", "browser")
    assert "libatomic.so.1 is missing" in said, said
    machine.install(COMMAND.findall(said)[0])
    began = time.monotonic()
    try:
        machine.run("make", "browser", patience=INSTALLING)
    except Failed as failed:
        said = str(failed)
        assert "The browser tests need Chromium" in said, said
        assert machine.user != "root", said
        print(f"   {said[said.index('The browser tests') :].strip()}", flush=True)
        without_any = machine.refusal(".venv/bin/python", "-m", "tests.support.browser")
        machine.install(re.findall(r"on Debian: (?:sudo )?(.+)", without_any)[0])
        machine.run("make", "browser")
    machine.figures.add(f"{machine.title}: `make browser`, with all that tests need", seconds_since(began), "s")
    ended = machine.run(".venv/bin/python", "-m", "pytest", "-q", *SOME_TESTS, patience=INSTALLING)
    print(f"   {ended.strip().splitlines()[-1]}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
