"""No container engine runs these tests, so what one would be told is read, merged and compared with the project.
`make test-compose` starts it all."""

import copy
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from console.management.processes import ANSWERS_AT_ONCE, JOBS_AT_ONCE

ROOT = Path(__file__).parent.parent
OURS = {"migrate", "web", "worker-jobs", "worker-chat", "beat", "vertex", "storage"}
CONSOLE = OURS - {"vertex", "storage"}
WORKERS = {"worker-jobs", "worker-chat"}
# What only vertex and the workers are told.
ELSEWHERE = {
    "STORAGE_EMULATOR_HOST", "CONSOLE_LOCAL_OPTIONS", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY",
    "NO_PROXY", "REQUESTS_CA_BUNDLE",
}  # fmt: skip
# Settings that a container is not told, and why.
NOT_PASSED = {
    "CONSOLE_DATA_DIR": "the image sets it",
    "CONSOLE_STATIC_ROOT": "the image sets it",
    "CONSOLE_CHAT_WORKER_IS_ALONE": "there may be several",
    "SQLITE_SYNCHRONOUS": "there is PostgreSQL",
}
FOR_UP = {"NO_COLOR"}
RESET = object()


class Loader(yaml.SafeLoader):
    """Knows the tag by which an overlay takes something away."""


Loader.add_constructor("!reset", lambda loader, node: RESET)


def merged(*files: str) -> dict[str, Any]:
    """As the specification of Compose merges: mappings key by key, lists one after the other."""
    whole: dict[str, Any] = {}
    for file in files:
        merge(whole, yaml.load((ROOT / file).read_text(), Loader))
    return whole


def merge(target: dict[str, Any], source: dict[str, Any]) -> None:
    for name, value in source.items():
        if value is RESET:
            target.pop(name, None)
        elif isinstance(value, dict) and isinstance(target.get(name), dict):
            target[name] = copy.deepcopy(target[name])
            merge(target[name], value)
        elif isinstance(value, list) and isinstance(target.get(name), list):
            target[name] = [*target[name], *value]
        else:
            target[name] = copy.deepcopy(value)


COMPOSE = merged("docker-compose.yml")
EXTERNAL = merged("docker-compose.yml", "compose.external.yml")
TLS = merged("docker-compose.yml", "compose.tls.yml")
SERVICES = COMPOSE["services"]


def names_in_settings() -> set[str]:
    return set(re.findall(r"env(?:_\w+)?\([\"']([A-Z_]+)", (ROOT / "console/settings.py").read_text()))


def words(service: str) -> list[str]:
    return " ".join(SERVICES[service].get("command", [])).split()


def modules(service: str) -> list[str]:
    after = {"-m", "-A"}
    return [word for before, word in zip(words(service), words(service)[1:], strict=False) if before in after]


def environment(service: str) -> set[str]:
    return set(SERVICES[service].get("environment", {}))


def names_in(*files: str) -> set[str]:
    return {name for file in files for name in re.findall(r"`([A-Z][A-Z_]+)", (ROOT / file).read_text())}


def test_the_services():
    assert set(SERVICES) == OURS | {"postgres", "redis"}


def test_the_local_servers_are_a_profile():
    assert {name for name in SERVICES if "profiles" in SERVICES[name]} == {"vertex", "storage"}
    assert {tuple(SERVICES[name]["profiles"]) for name in ("vertex", "storage")} == {("local",)}


@pytest.mark.parametrize("name", sorted(OURS))
def test_its_modules_exist(name):
    assert [found for found in modules(name) if importlib.util.find_spec(found) is None] == []


@pytest.mark.parametrize("name", sorted(CONSOLE))
def test_it_is_told_every_setting(name):
    assert environment(name) - ELSEWHERE == names_in_settings() - set(NOT_PASSED)


def test_every_setting_is_documented():
    """And what the README promises is passed."""
    told = set().union(*map(environment, OURS))
    documents = ("README.md", "docs/operations.md", "docs/containers.md", "docs/monitoring.md")
    assert names_in_settings() - names_in(*documents) == set()
    table = set(re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "README.md").read_text(), re.M))
    assert table - told == {"CONSOLE_DATA_DIR", "CONSOLE_STATIC_ROOT", *FOR_UP}


def test_only_the_workers_get_credentials():
    """As a file that a missing one cannot make a folder, and by no variable that would be set without one."""
    assert {name for name in SERVICES if "secrets" in SERVICES[name]} == WORKERS
    assert COMPOSE["secrets"] == {"google-credentials": {"file": "${GOOGLE_APPLICATION_CREDENTIALS_FILE:-/dev/null}"}}
    assert [name for name in SERVICES if "GOOGLE_APPLICATION_CREDENTIALS" in environment(name)] == []


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_it_can_do_little(name):
    """Root begins where a secret is handed over or files are given to a user, and can do nothing but that. Where it
    stays as the init process, it must be able to pass on the signal to stop, or the worker is killed in its work."""
    service = SERVICES[name]
    can = {"postgres": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}}
    can |= dict.fromkeys(WORKERS, {"DAC_READ_SEARCH", "KILL", "SETGID", "SETUID"})
    assert (service["cap_drop"], set(service.get("cap_add", []))) == (["ALL"], can.get(name, set()))
    assert (service["security_opt"], service["read_only"]) == (["no-new-privileges:true"], True)
    assert (service.get("user") == "0:0") == (name in WORKERS)


def test_each_queue_has_its_worker():
    queues = {name: SERVICES[name]["command"][SERVICES[name]["command"].index("-Q") + 1] for name in WORKERS}
    assert queues == {"worker-jobs": "jobs", "worker-chat": "chat"}


@pytest.mark.parametrize(("name", "at_once"), [("worker-jobs", JOBS_AT_ONCE), ("worker-chat", ANSWERS_AT_ONCE)])
def test_a_worker_is_the_one_that_up_starts(name, at_once):
    command = SERVICES[name]["command"]
    assert {"--pool=threads", f"--concurrency={at_once}"} <= set(command)


def test_every_service_that_stays_has_a_health_check():
    silent = {"migrate"}
    assert {name for name in SERVICES if "healthcheck" not in SERVICES[name]} == silent


@pytest.mark.parametrize("whole", [COMPOSE, EXTERNAL, TLS])
def test_volumes_and_networks_are_declared(whole):
    services = whole["services"].values()
    mounted = {mount.partition(":")[0] for service in services for mount in service.get("volumes", [])}
    assert {volume for volume in mounted if not volume.startswith(".")} == set(whole["volumes"])
    joined = {network for service in services for network in service.get("networks", [])}
    assert joined == set(whole.get("networks", {}))


@pytest.mark.parametrize("whole", [COMPOSE, EXTERNAL, TLS])
def test_what_a_service_waits_for_is_there(whole):
    awaited = {name for service in whole["services"].values() for name in service.get("depends_on", {})}
    assert awaited - set(whole["services"]) == set()


def test_only_loopback_is_published():
    """By default on one port, and with an empty variable on any, so that there can be two."""
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:${CONSOLE_PORT-8000}:8000"]


def test_nothing_that_may_be_there_twice_has_a_name_of_its_own():
    named = {name for name in SERVICES if {"container_name", "hostname"} & set(SERVICES[name])}
    assert (named, "jobs@%h" in " ".join(words("worker-jobs")), "chat@%h" in " ".join(words("worker-chat"))) == (
        set(),
        True,
        True,
    )


def test_redis_has_a_password_that_no_argument_shows():
    redis = SERVICES["redis"]
    assert redis["environment"] == {"REDISCLI_AUTH": "${REDIS_PASSWORD:-}"}
    assert "${REDIS_PASSWORD" not in str([redis["command"], redis["entrypoint"], redis["healthcheck"]])


def test_with_a_database_and_a_redis_elsewhere_none_is_started():
    assert set(EXTERNAL["services"]) == OURS
    assert set(EXTERNAL["volumes"]) == {"data"}


def test_with_tls_only_caddy_is_published_and_believed():
    services = TLS["services"]
    assert {name for name in services if services[name].get("ports")} == {"caddy"}
    in_front = {name for name in services if "front" in services[name].get("networks", [])}
    assert (in_front, services["caddy"]["networks"]) == ({"caddy", "web"}, ["front"])
    subnet = TLS["networks"]["front"]["ipam"]["config"][0]["subnet"]
    web = services["web"]["environment"]
    assert (web["CONSOLE_TRUSTED_PROXIES"], web["CONSOLE_HTTPS"]) == (subnet, "1")
    addresses = {services[name]["environment"]["CONSOLE_URL"].partition(":?")[0] for name in CONSOLE - {"migrate"}}
    assert addresses == {"https://${CONSOLE_HOST"}


def test_the_local_servers_are_known_by_their_names():
    for name in ("vertex", "storage"):
        assert words(name)[words(name).index("--allow-host") + 1] == name


def test_the_example_has_every_variable_and_no_other():
    files = ("docker-compose.yml", "compose.external.yml", "compose.tls.yml")
    used = {name for file in files for name in re.findall(r"(?<!\$)\$\{([A-Z_]+)", (ROOT / file).read_text())}
    lines = (ROOT / ".env.example").read_text().splitlines()
    named = {match[1] for line in lines if (match := re.match(r"(?:# )?([A-Z][A-Z_]+)=", line))}
    assert named == used - {"REVISION", "SOURCE_DATE_EPOCH"}


def test_the_example_as_it_is_has_nothing_that_stops_the_start():
    """All that is not left empty is what the settings would take anyway."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]", line))
    assert (given["VERTEX_BUCKET"], "GOOGLE_APPLICATION_CREDENTIALS_FILE" in given) == ("", False)


def copied() -> set[str]:
    text = "".join((ROOT / name).read_text() for name in ("Dockerfile", "containers/localvertex.containerfile"))
    lines = re.findall(r"^COPY (?!--from)(?:--\S+ )?(.+)$", text, re.M)
    return {word for line in lines for word in line.split()[:-1]}


def test_the_image_copies_what_exists_and_is_not_root():
    assert [source for source in copied() if not (ROOT / source).exists()] == []
    assert re.findall(r"^USER (\S+)$", (ROOT / "Dockerfile").read_text(), re.M) == ["10001:10001"]


def test_what_is_copied_is_not_ignored():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    inside = {name for name in copied() if name.startswith("jobs/")}  # of the folder, which is kept as a whole
    assert copied() - inside == kept


def test_the_image_has_the_version_of_the_project():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    text = (ROOT / "Dockerfile").read_text()
    assert re.findall(r'org.opencontainers.image.version="(.+?)"', text) == [version]


def test_the_image_is_of_no_processor():
    files = [ROOT / "Dockerfile", *(ROOT / "containers").iterdir()]
    assert [file.name for file in files if re.search(r"amd64|x86_64|arm64|aarch64", file.read_text())] == []


def example(*, local: bool) -> dict[str, str]:
    """What `.env.example` sets as it stands, or when the lines for the local servers are taken in."""
    text = (ROOT / ".env.example").read_text()
    text = re.sub(r"^# (?=[A-Z_]+=)", "", text, flags=re.MULTILINE) if local else text
    return dict(line.split("=", 1) for line in text.splitlines() if re.match("[A-Z_]+=", line))


@pytest.mark.parametrize(("local", "bucket"), [(False, ""), (True, "gs://garden-local")])
@pytest.mark.parametrize("changed", [{}, {"VERTEX_BUCKET": "gs://"}])
def test_the_example_starts_as_it_stands(tmp_path, local, bucket, changed):
    """And as it stood in older versions, with half a bucket."""
    ours = {"DJANGO_SETTINGS_MODULE": "console.settings", "CONSOLE_DATA_DIR": str(tmp_path)}
    environment = {"PATH": os.environ["PATH"], **example(local=local), **changed, **ours}
    code = "import django; django.setup(); from django.conf import settings; print(repr(settings.VERTEX_BUCKET))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, repr(bucket), "")


def test_the_example_has_a_recipe_for_a_password_that_needs_no_encoding():
    text = (ROOT / ".env.example").read_text()
    assert "openssl rand -hex 32" in text.partition("POSTGRES_PASSWORD=")[0]
