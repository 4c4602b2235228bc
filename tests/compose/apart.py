"""Two of each that share no volume, as on machines of their own, and their files in a store beside them."""

import tomllib
from dataclasses import replace

from tests.compose import parts
from tests.compose.engine import Stack
from tests.support import journey
from tests.support.headless_client import Page, Visitor
from tests.support.running import ROOT

BUCKET = "console-files"
HERE = ROOT / "tests/compose"
MAKE_BUCKET = f"import boto3; boto3.client('s3', endpoint_url='http://localhost:9000').create_bucket(Bucket='{BUCKET}')"
LIST = (
    "import boto3; s3 = boto3.client('s3', endpoint_url='http://localhost:9000');"
    f"print(*(found['Key'] for found in s3.list_objects_v2(Bucket='{BUCKET}')['Contents']))"
)


def apart(console: parts.Console) -> None:
    """What one web process was given, workers of other disks read, and the other web process shows."""
    engine, image = console.stack.engine, f"{console.stack.name}-store"
    chosen = ["--file", str(HERE / "store.containerfile"), "--build-arg", f"MOTO={read_locked_version('moto')}"]
    try:
        engine("build", *chosen, *console.build_options, "--tag", image, str(HERE))
        with parts.in_its_place(console, on_its_own_disk(console.stack, image)) as other:
            other.stack.up()
            other.stack.execute(*other.stack.containers("store"), "python", "-c", MAKE_BUCKET)
            parts.until("everything is ready", lambda: parts.is_ready(other))
            check_disks(other.stack)
            parts.make_owner(other)
            use(other)
    finally:
        parts.remove_images(engine, image)


def read_locked_version(package: str) -> str:
    """As the project's own tests have it."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["dev"]
    return next(line for line in wanted if line.startswith(package)).replace("[s3]", "[s3,server]")


def on_its_own_disk(current: Stack, image: str) -> Stack:
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    address = f"s3://{BUCKET}/console?endpoint_url=http://store:9000&region=us-east-1"
    given = {"CONSOLE_PORT": "", "FILES_URL": address, "STORE_IMAGE": image, **keys}
    return replace(
        current,
        name=f"{current.name}-apart",
        files=[*current.files, HERE / "apart.yml"],
        environment=current.environment | given,
    )


def check_disks(stack: Stack) -> None:
    services = {"web": 2, "worker-jobs": 2, "worker-chat": 2, "beat": 1}
    assert {name: len(stack.containers(name)) for name in services} == services
    volumes = stack.list_volumes(*services)
    assert len(set(volumes)) == len(volumes) == sum(services.values()), volumes


def use(console: parts.Console) -> None:
    with console.visitor(0) as first, console.visitor(1) as second:
        journey.wait_for_catalogue(first)
        console.endpoint = parts.tune(second, parts.SHORT)
        chat = parts.see_well(console, first)
    kept = console.stack.execute(*console.stack.containers("store"), "python", "-c", LIST)
    assert {"datasets", "pictures"} <= {key.split("/")[1] for key in kept.split()}, kept
    # The first of each goes with its disk; what it was given stays.
    for service in ("web", "worker-jobs", "worker-chat"):
        console.stack.engine("stop", console.stack.containers(service)[0])
    with console.visitor() as person:
        look_again(person, chat)
        console.endpoint = parts.tune(person, parts.SHORT, "Once more")
        parts.ask_well(console, person)


def look_again(person: Visitor, chat: str) -> None:
    """The picture is shown, and goes to the model for another answer; those are drawn by lot, and seldom wrong."""
    address, seen = f"/studio/chat/{chat}/", []
    for _ in range(6):
        page = person.get(address)
        seen.append(journey.answer_text(page.response.text))
        if parts.SEEN in seen:
            break
        ask_anew(person, page)
    assert parts.SEEN in seen, seen
    shown = [
        given["src"] for tag, given in page.attributes if tag == "img" and "/chat/pictures/" in given.get("src", "")
    ]
    assert shown, page.text
    assert person.client.get(shown[0]).headers["Content-Type"].startswith("image/")


def ask_anew(person: Visitor, page: Page) -> None:
    turn = journey.last_turn(page)
    person.submit(page, f"/{turn}/retry/")
    parts.until("there is another answer", lambda: "aria-busy" not in person.get(page.url).response.text)
