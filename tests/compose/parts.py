"""What is done with the containers, one part after another; each begins with a console that works and leaves one."""

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from tests import journey
from tests.compose.engine import Engine, Failed, Stack, call
from tests.compose.figures import Figures
from tests.fixtures.tiny_gemma3.pictures import Scene, Thing, draw
from tests.running import GEMMA, ROOT
from tests.visitor import Visitor

SEES = "google/gemma3@gemma-3-4b-it"
ROWS = ROOT / "tests/fixtures/tiny-tune/train.jsonl"
SHORT = {"epochs": "2", "learning_rate": "0.005", "adapter_size": "8", "batch_size": "4"}
LONG = SHORT | {"epochs": "20"}
SCENE, SEEN = Scene("black", (Thing("square", "yellow"),)), "A yellow square on a black background."
OWNER, PASSWORD = "owner", "correct horse battery staple"
STATELESS, KEEPING = ("web", "worker-jobs", "worker-chat", "beat"), ("redis", "postgres", "storage", "vertex")
PATIENCE = 240


@dataclass
class Console:
    stack: Stack
    figures: Figures
    build_options: list[str]
    endpoint: str = ""
    chats: list[str] = field(default_factory=list)

    def visitor(self, number: int = 0) -> Visitor:
        """Signed in by a link, as somebody without a password is."""
        address = self.stack.ports("web", 8000)[number]
        container = self.stack.containers("web")[0]
        link = self.stack.execute(container, "python", "manage.py", "sign-in-link", OWNER).strip()
        visitor = Visitor(address)
        visitor.sign_in("/" + link.split("/", 3)[3])
        return visitor


def build(engine: Engine, folder: Path, image: str, options: Sequence[str]) -> None:
    arguments = ["--build-arg", "EXTRAS=local", *options, "--tag", image, str(folder)]
    engine("build", *arguments, patience=3000)


def size(engine: Engine, image: str) -> float:
    return int(engine("image", "inspect", "--format", "{{.Size}}", image)) / 1e6


def until(what: str, holds: Callable[[], bool], patience: float = PATIENCE, pause: float = 0.2) -> float:
    """The seconds until it holds."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > patience:
            raise TimeoutError(f"{what}: not within {patience:.0f} s")
        time.sleep(pause)
    return time.monotonic() - began


def answers(address: str, path: str = "/healthz") -> bool:
    try:
        return httpx.get(f"{address}{path}", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def is_ready(console: Console) -> bool:
    try:
        addresses = console.stack.ports("web", 8000)
    except (Failed, IndexError):
        return False
    return bool(addresses) and all(answers(address, "/readyz") for address in addresses)


def start(console: Console, what: str) -> None:
    """`figures` get the seconds from the command to the first page."""
    address = f"http://127.0.0.1:{console.stack.environment['CONSOLE_PORT']}"
    began = time.monotonic()
    with ThreadPoolExecutor(1) as beside:
        first = beside.submit(until, "the first page", lambda: answers(address, "/sign-in/"))
        console.stack.up()
        first.result()
        console.figures.add(f"first page after `up`, {what}", first.result(), "s")
    until("everything is ready", lambda: is_ready(console))
    console.figures.add(f"everything ready after `up`, {what}", time.monotonic() - began, "s")


def make_owner(console: Console) -> None:
    made = ["--no-input", "--username", OWNER, "--email", "owner@example.com"]
    with_password = ["env", f"DJANGO_SUPERUSER_PASSWORD={PASSWORD}"]
    console.stack.execute(
        console.stack.containers("web")[0], *with_password, "python", "manage.py", "createsuperuser", *made
    )


def journey_to_a_chat(console: Console) -> None:
    start(console, "empty volumes")
    make_owner(console)
    check_confinement(console)
    with console.visitor() as person:
        journey.wait_for_catalogue(person)
        console.endpoint = tune(person, SHORT)
        ask_well(console, person)
        see_well(console, person)
    memory = console.stack.megabytes()
    console.figures.add("memory of all containers, two models served", sum(memory.values()), "MB")


def check_confinement(console: Console) -> None:
    """Nothing of ours runs as root but the process that waits for the others, and nothing can write outside."""
    for service in (*STATELESS, "storage", "vertex"):
        container = console.stack.containers(service)[0]
        shown = console.stack.execute(container, "sh", "-c", "cat /proc/[0-9]*/status", user="10001")
        users = [line.split()[1] for line in shown.splitlines() if line.startswith("Uid:")]
        assert set(users[1:]) == {"10001"}, (service, users)
        refused = console.stack.execute(container, "sh", "-c", "touch /app/x /opt/console/x 2>&1 || true", user="10001")
        assert refused.count("Read-only file system") == 2, (service, refused)


def tune(person: Visitor, training: dict[str, str], name: str = "Ahoy") -> str:
    """The endpoint's id, once it is ready."""
    wanted = journey.Tune(GEMMA, name, train=ROWS, training=training)
    job = journey.start(person, journey.fill_in(person, wanted), wanted)
    journey.wait_for_state(person, job, "Succeeded", PATIENCE)
    endpoint = journey.endpoint_of(person, job, 60)
    journey.wait_until_ready(person, endpoint, PATIENCE)
    return endpoint


def ask_well(console: Console, person: Visitor) -> None:
    answer = journey.ask(person, console.endpoint, "What is snow?")
    assert answer.text, answer
    console.chats.append(answer.conversation)


def see_well(console: Console, person: Visitor) -> None:
    """The answer is drawn by lot, and seldom wrong."""
    picture = console.stack.folder / "square.png"
    draw(random.Random(4), SCENE, 160)[0].save(picture)
    endpoint = journey.deploy_base(person, SEES)
    journey.wait_until_ready(person, endpoint, PATIENCE)
    seen = [journey.ask(person, endpoint, "Describe the picture.", picture=picture).text for _ in range(4)]
    assert SEEN in seen, seen


def recover(console: Console, *containers: str) -> float:
    """The seconds until each of them runs again with another main process, is healthy, and pages open."""
    before = {name: console.stack.main_process(name) for name in containers}
    console.stack.crash(*containers)

    def is_back(name: str) -> bool:
        running = console.stack.engine("inspect", "--format", "{{.State.Running}} {{.State.Pid}}", name).split()
        return running[0] == "true" and running[1] not in ("0", str(before[name])) and console.stack.is_healthy(name)

    began = time.monotonic()
    for name in containers:
        until(f"{name} is back", lambda name=name: is_back(name))  # type: ignore[misc]
    until("pages open", lambda: is_ready(console))
    return time.monotonic() - began


def kill_each(console: Console) -> None:
    with console.visitor() as person:
        job = begin_long(person)
        for service in (*STATELESS, *KEEPING):
            seconds = recover(console, *console.stack.containers(service))
            console.figures.add(f"`{service}` killed, all healthy again after", seconds, "s")
        end_well(console, person, job)


def kill_all(console: Console) -> None:
    with console.visitor() as person, ThreadPoolExecutor(1) as beside:
        job = begin_long(person)
        chat = beside.submit(journey.ask, person, console.endpoint, "What is snow?")
        seconds = recover(console, *console.stack.containers(*STATELESS, *KEEPING))
        console.figures.add("all killed at once, all healthy again after", seconds, "s")
        assert (
            chat.exception(PATIENCE) is None or True
        )  # its stream was cut; what became of the answer is looked at below
        end_well(console, person, job)


def begin_long(person: Visitor) -> str:
    wanted = journey.Tune(GEMMA, "Long", train=ROWS, auto_deploy=False, training=LONG)
    job = journey.start(person, journey.fill_in(person, wanted), wanted)
    journey.wait_for_step(person, job, 60)
    return job


def end_well(console: Console, person: Visitor, job: str) -> None:
    journey.wait_for_state(person, job, "Succeeded", PATIENCE)
    journey.wait_until_ready(person, console.endpoint, PATIENCE)
    ask_well(console, person)


def two_of_each(console: Console) -> None:
    one = console.stack
    console.stack = replace(
        one, files=[*one.files, ROOT / "tests/compose/two.yml"], environment=one.environment | {"CONSOLE_PORT": ""}
    )
    console.stack.up()
    until("everything is ready", lambda: is_ready(console))
    services = ("web", "worker-jobs", "worker-chat")
    assert [len(console.stack.containers(service)) for service in services] == [2, 2, 2]
    with console.visitor(0) as first, console.visitor(1) as second, ThreadPoolExecutor(6) as beside:
        asked = [
            beside.submit(journey.ask, person, console.endpoint, "What is snow?") for person in (first, second) * 3
        ]
        assert all(answer.result().text for answer in asked)
        tune(second, SHORT, "Both")
    console.stack.down()
    console.stack = one
    start(console, "after `down`")


def down_and_up(console: Console) -> None:
    console.stack.down()
    start(console, "after `down`, again")
    look_again(console)


def look_again(console: Console) -> None:
    """Chats are there with their words, and the endpoint answers."""
    with console.visitor() as person:
        for chat in console.chats:
            assert "What is snow?" in person.get(f"/studio/chat/{chat}/").text
        journey.wait_until_ready(person, console.endpoint, PATIENCE)
        ask_well(console, person)


def backup_and_restore(console: Console) -> None:
    folder = console.stack.folder / "backups"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    run = ["run", "--rm", "--no-deps", "--volume", f"{folder}:/backups", "web", "python", "manage.py"]
    console.stack.compose(*run, "backup", "/backups/console.zip")
    with console.visitor() as person:
        lost = journey.ask(person, console.endpoint, "What is snow?").conversation
    console.stack.compose("stop", *STATELESS)
    console.stack.compose(*run, "restore", "--replace", "/backups/console.zip")
    console.stack.up()
    until("everything is ready", lambda: is_ready(console))
    look_again(console)
    with console.visitor() as person:
        assert person.client.get(f"/studio/chat/{lost}/").status_code == 404


def upgrade(console: Console) -> None:
    """From the commit before, with its own compose file, in a project of its own."""
    current = console.stack
    old = replace(
        current,
        name=f"{current.name}-old",
        folder=current.folder / "old",
        files=[current.folder / "old/source/docker-compose.yml", current.folder / "old/tiny.yml"],
    )
    source = old.folder / "source"
    source.mkdir(parents=True)
    archive = old.folder / "source.tar"
    call(["git", "archive", "--output", str(archive), "HEAD~1"])
    call(["tar", "-x", "-f", str(archive), "-C", str(source)])
    image = f"{current.name}-before"
    console.stack.down()
    try:
        build(current.engine, source, image, console.build_options)
        (old.folder / "tiny.yml").write_text(
            (ROOT / "tests/compose/tiny.yml").read_text().replace("./tests", str(ROOT / "tests"))
        )
        old.environment = current.environment | {"CONSOLE_IMAGE": image}
        console.stack = old
        old.up()
        until("everything is ready", lambda: is_ready(console))
        make_owner(console)
        with console.visitor() as person:
            journey.wait_for_catalogue(person)
            job = begin_long(person)
        began = time.monotonic()
        console.stack = replace(old, files=current.files, environment=current.environment)
        console.stack.up()
        until("everything is ready", lambda: is_ready(console))
        console.figures.add("upgrade from the commit before, ready after", time.monotonic() - began, "s")
        with console.visitor() as person:
            journey.wait_for_state(person, job, "Succeeded", PATIENCE)
    finally:
        console.stack.down("--volumes")
        console.stack = current
        current.engine("rmi", "--force", image)
        start(console, "after `down`, once more")
