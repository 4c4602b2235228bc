"""What is done with the containers, one part after another; each begins with a console that works and leaves one."""

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from tests.compose.engine import Engine, Failed, Stack
from tests.compose.figures import Figures
from tests.fixtures.tiny_gemma3.pictures import Scene, Thing, draw
from tests.support import journey
from tests.support.headless_client import Visitor
from tests.support.running import GEMMA, ROOT

SEES = "google/gemma3@gemma-3-4b-it"
ROWS = ROOT / "tests/fixtures/tiny-tune/train.jsonl"
SHORT = {"epochs": "2", "learning_rate": "0.005", "adapter_size": "8", "batch_size": "4"}
LONG = SHORT | {"epochs": "20"}
SCENE, SEEN = Scene("black", (Thing("square", "yellow"),)), "A yellow square on a black background."
OWNER, PASSWORD = "owner", "correct horse battery staple"
STATELESS, LOCAL = ("web", "worker-jobs", "worker-chat", "beat"), ("storage", "vertex")
# Seconds, for anything that has to come; more where a machine does much else: PATIENCE=1200 make test-compose.
PATIENCE = float(os.environ.get("PATIENCE", "240"))
# Docker starts a container that died again and again; Podman tries once, and where that failed, which it did
# for some of nine that died at one moment on a busy machine, the container stays down.
ONCE = PATIENCE / 8
MARK = f"garden-console-test={os.getpid()}"


@dataclass
class Console:
    stack: Stack
    figures: Figures
    build_options: list[str]
    endpoint: str = ""
    chats: list[str] = field(default_factory=list)

    def addresses(self) -> list[str]:
        """One for each web process, or Caddy's."""
        if port := self.stack.environment.get("CONSOLE_HTTPS_PORT"):
            return [f"https://localhost:{port}"]
        return self.stack.ports("web", 8000)

    def servers(self) -> tuple[str, ...]:
        """What else can be killed here; a database and a Redis elsewhere are those of another team."""
        others = ("caddy",) if "CONSOLE_HTTPS_PORT" in self.stack.environment else ("redis", "postgres")
        return *others, *LOCAL

    def visitor(self, number: int = 0) -> Visitor:
        """Signed in by a link, as somebody without a password is."""
        addresses = self.addresses()
        address = addresses[number % len(addresses)]
        container = self.stack.containers("web")[0]
        link = self.stack.execute(container, "python", "manage.py", "sign-in-link", OWNER).strip()
        visitor = Visitor(address, verify=False)
        visitor.sign_in("/" + link.split("/", 3)[3])
        return visitor


def marks(engine: Engine) -> list[str]:
    """BuildKit looks after what it keeps between builds; Podman's layers are to be found again."""
    return [f"--label={MARK}", f"--layer-label={MARK}"] if engine.is_podman else []


def build(engine: Engine, folder: Path, image: str, options: Sequence[str]) -> None:
    engine("build", "--build-arg", "EXTRAS=local", *options, "--tag", image, str(folder), patience=3000)


def remove_images(engine: Engine, *images: str) -> None:
    for image in images:
        if engine("images", "--quiet", image).strip():
            engine("rmi", "--force", image)
    if engine.is_podman:
        engine("image", "prune", "--force", "--filter", f"label={MARK}")


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
        return httpx.get(f"{address}{path}", timeout=5, trust_env=False, verify=False).status_code == 200
    except httpx.HTTPError:
        return False


def is_ready(console: Console) -> bool:
    try:
        addresses = console.addresses()
    except (Failed, IndexError):
        return False
    return bool(addresses) and all(answers(address, "/readyz/all") for address in addresses)


def start(console: Console, what: str) -> None:
    """`figures` get the seconds from the command to the first page."""
    given = console.stack.environment
    port = given.get("CONSOLE_HTTPS_PORT")
    address = f"https://localhost:{port}" if port else f"http://127.0.0.1:{given['CONSOLE_PORT']}"
    began = time.monotonic()
    with ThreadPoolExecutor(1) as beside:
        first = beside.submit(until, "the first page", lambda: answers(address, "/accounts/sign-in/"))
        console.stack.up()
        first.result()
        console.figures.add(f"first page after `up`, {what}", first.result(), "s")
    until("everything is ready", lambda: is_ready(console))
    console.figures.add(f"everything ready after `up`, {what}", time.monotonic() - began, "s")


@contextmanager
def in_its_place(console: Console, stack: Stack) -> Iterator[Console]:
    """Another project runs, with volumes of its own; then this one again."""
    console.stack.down()
    other = replace(console, stack=stack, endpoint="", chats=[])
    try:
        yield other
    except BaseException:
        other.stack.tell()
        raise
    finally:
        other.stack.down(volumes=True)
    start(console, "after `down`")


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
    """Nothing of ours is root or has a capability but the process that waits for the others, and nothing can write
    outside of its data."""
    for service in (*STATELESS, *LOCAL):
        container = console.stack.containers(service)[0]
        look = (
            "cat /proc/[0-9]*/status 2>/dev/null; ls /run/secrets 2>/dev/null; touch /app/x /opt/console/x 2>&1; true"
        )
        shown = console.stack.execute(container, "sh", "-c", look, user="10001")
        others = [line.split()[1] for line in shown.splitlines() if line.startswith(("Uid:", "CapEff:"))][2:]
        assert set(others) == {"10001", "0" * 16}, (service, shown)
        assert shown.count("Read-only file system") == 2, (service, shown)
        assert ("google-credentials" in shown) == service.startswith("worker"), (service, shown)


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


def see_well(console: Console, person: Visitor) -> str:
    """The chat. The answer is drawn by lot, and seldom wrong."""
    picture = console.stack.folder / "square.png"
    draw(random.Random(4), SCENE, 160)[0].save(picture)
    endpoint = journey.deploy_base(person, SEES)
    journey.wait_until_ready(person, endpoint, PATIENCE)
    seen = [journey.ask(person, endpoint, "Describe the picture.", picture=picture) for _ in range(4)]
    assert SEEN in [answer.text for answer in seen], seen
    return seen[0].conversation


def recover(console: Console, *containers: str) -> float:
    """The seconds until each of them runs again with another main process, is healthy, and pages open."""
    before = {name: console.stack.main_process(name) for name in containers}
    console.stack.crash(*containers)

    def runs_again(name: str) -> bool:
        running = console.stack.engine("inspect", "--format", "{{.State.Running}} {{.State.Pid}}", name).split()
        if running[0] != "true" and console.stack.engine.is_podman and time.monotonic() - began > ONCE:
            print(f"   Podman did not start {name} again; started by hand", flush=True)
            console.stack.engine("start", name)
        return running[0] == "true" and running[1] not in ("0", str(before[name]))

    began = time.monotonic()
    # All first: none is healthy without the database.
    for name in containers:
        until(f"{name} runs again", lambda name=name: runs_again(name))  # type: ignore[misc]
    for name in containers:
        until(f"{name} is back", lambda name=name: runs_again(name) and console.stack.is_healthy(name))  # type: ignore[misc]
    until("pages open", lambda: is_ready(console))
    return time.monotonic() - began


def kill_each(console: Console) -> None:
    with console.visitor() as person:
        job = begin_long(person)
        for service in (*STATELESS, *console.servers()):
            seconds = recover(console, *console.stack.containers(service))
            console.figures.add(f"`{service}` killed, all healthy again after", seconds, "s")
        end_well(console, person, job)


def kill_all(console: Console) -> None:
    """What was asked has an end, whichever: its words, or that it was cut off."""
    with console.visitor() as person:
        job = begin_long(person)
        page = person.get(f"/studio/chat/?endpoint={console.endpoint}")
        page = person.submit(page, "/studio/chat/", text="What is snow?", endpoint=console.endpoint)
        seconds = recover(console, *console.stack.containers(*STATELESS, *console.servers()))
        console.figures.add("all killed at once, all healthy again after", seconds, "s")
        until("the answer has an end", lambda: "aria-busy" not in person.get(page.url).response.text)
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
    stop_well(console)
    console.stack.down()
    start(console, "after `down`, again")
    look_again(console)


def stop_well(console: Console) -> None:
    """All of them hear that they are to stop: none has to be killed after its time."""
    names = console.stack.containers(*STATELESS)
    began = time.monotonic()
    console.stack.compose("stop", *STATELESS)
    console.figures.add("`stop` of web, workers and beat with nothing to do", time.monotonic() - began, "s")
    codes = {name: console.stack.engine("inspect", "--format", "{{.State.ExitCode}}", name).strip() for name in names}
    assert "137" not in codes.values(), codes


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
    run = ["run", "--rm", "-T", "--no-deps", "--volume", f"{folder}:/backups", "web", "python", "manage.py"]
    console.stack.compose(*run, "backup", "/backups/console.zip")
    with console.visitor() as person:
        lost = journey.ask(person, console.endpoint, "What is snow?").conversation
    console.stack.compose("stop", *STATELESS, *LOCAL)
    console.stack.compose(*run, "restore", "--replace", "/backups/console.zip")
    console.stack.up()
    until("everything is ready", lambda: is_ready(console))
    look_again(console)
    with console.visitor() as person:
        assert person.client.get(f"/studio/chat/{lost}/").status_code == 404


OWN = json.dumps({"type": "service_account", "project_id": "of-somebody-else"})
SHOW = "id -u; echo file=${GOOGLE_APPLICATION_CREDENTIALS-unset}; cat ${GOOGLE_APPLICATION_CREDENTIALS:-/dev/null}"


def credentials(console: Console) -> None:
    """A file that its owner alone may read, none, a path with nothing, a folder."""
    file, nothing, folder = (console.stack.folder / name for name in ("own.json", "nothing.json", "folder.json"))
    file.write_text(OWN)
    file.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(file, 12345, 12345)
    folder.mkdir()
    copy = "/run/console/google-credentials.json"
    assert seen_by_a_worker(console, file) == ["10001", f"file={copy}", OWN]
    assert seen_by_a_worker(console, "") == ["10001", "file=unset"]
    for wrong in (nothing, folder):
        try:
            seen = seen_by_a_worker(console, wrong)
        except Failed:
            continue
        raise AssertionError(f"{wrong} was taken: {seen}")
    assert not nothing.exists()


def seen_by_a_worker(console: Console, file: Path | str) -> list[str]:
    given = console.stack.environment | ({"GOOGLE_APPLICATION_CREDENTIALS_FILE": str(file)} if file else {})
    stack = replace(console.stack, environment=given)
    return stack.compose("run", "--rm", "-T", "--no-deps", "worker-jobs", "sh", "-c", SHOW).split("\n")[
        : 3 if file else 2
    ]
