"""No Docker engine runs the tests, so what Docker would be told is read and compared with the project."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = {"migrate", "web", "worker-jobs", "worker-chat", "beat", "vertex", "storage"}
GOOGLES = {"GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST"}
FOR_DOCKER = {"POSTGRES_PASSWORD", "CONSOLE_EXTRAS", "PIP_EXTRA_INDEX_URL", "GOOGLE_APPLICATION_CREDENTIALS_FILE"}


def names_in_settings() -> set[str]:
    return set(re.findall(r'env(?:_\w+)?\("([A-Z_]+)"', (ROOT / "console/settings.py").read_text()))


def modules(command: list[str]) -> list[str]:
    after = {"-m", "-A"}
    return [word for before, word in zip(command, command[1:], strict=False) if before in after]


def test_the_services():
    assert set(SERVICES) == OURS | {"postgres", "redis"}


def test_the_local_servers_are_a_profile():
    assert {name for name in SERVICES if "profiles" in SERVICES[name]} == {"vertex", "storage"}
    assert {tuple(SERVICES[name]["profiles"]) for name in ("vertex", "storage")} == {("local",)}


@pytest.mark.parametrize("name", sorted(OURS))
def test_its_modules_exist(name):
    assert [
        found for found in modules(SERVICES[name].get("command", [])) if importlib.util.find_spec(found) is None
    ] == []


@pytest.mark.parametrize("name", sorted(OURS))
def test_its_settings_exist(name):
    given = set(SERVICES[name].get("environment", {}))
    assert given - names_in_settings() - GOOGLES == set()


def test_only_the_workers_get_credentials():
    trusted = {name for name in OURS if "GOOGLE_APPLICATION_CREDENTIALS" in SERVICES[name].get("environment", {})}
    assert trusted == {"worker-jobs", "worker-chat"}


def test_each_queue_has_its_worker():
    queues = {
        name: SERVICES[name]["command"][SERVICES[name]["command"].index("-Q") + 1] for name in OURS if "worker" in name
    }
    assert queues == {"worker-jobs": "jobs", "worker-chat": "chat"}
    assert "--pool=prefork" in SERVICES["worker-jobs"]["command"]
    assert "--pool=threads" in SERVICES["worker-chat"]["command"]


def test_every_service_that_answers_has_a_health_check():
    silent = {"migrate", "beat"}
    assert {name for name in SERVICES if "healthcheck" not in SERVICES[name]} == silent


def test_volumes_are_declared():
    mounted = {mount.partition(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert {volume for volume in mounted if not volume.startswith("$")} == set(COMPOSE["volumes"])


def test_only_loopback_is_published():
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:8000:8000"]


def test_the_local_servers_are_known_by_their_names():
    for name in ("vertex", "storage"):
        command = SERVICES[name]["command"]
        assert command[command.index("--allow-host") + 1] == name


def test_every_name_in_the_example_is_used():
    lines = (ROOT / ".env.example").read_text().splitlines()
    named = {match[1] for line in lines if (match := re.match(r"(?:# )?([A-Z][A-Z_]+)=", line))}
    assert named - FOR_DOCKER - GOOGLES - names_in_settings() == set()


def test_every_variable_is_in_the_example():
    used = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    example = (ROOT / ".env.example").read_text()
    assert {name for name in used if f"{name}=" not in example} == {"PIP_EXTRA_INDEX_URL"}


def test_the_image_copies_what_exists_and_is_not_root():
    text = (ROOT / "Dockerfile").read_text()
    sources = [word for line in re.findall(r"^COPY (.+)$", text, re.M) for word in line.split()[:-1]]
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert re.findall(r"^USER (\w+)$", text, re.M) == ["console"]


def test_what_is_copied_is_not_ignored():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    text = (ROOT / "Dockerfile").read_text()
    assert {word for line in re.findall(r"^COPY (.+)$", text, re.M) for word in line.split()[:-1]} == kept


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
