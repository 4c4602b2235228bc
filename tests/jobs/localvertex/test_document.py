"""What docs/localvertex-clients.md says to paste, pasted."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from jobs.localvertex.testing import Server, run
from tests.jobs.localvertex.servers import ROOT

TEXT = (ROOT / "docs/localvertex-clients.md").read_text(encoding="utf-8")
RECIPE = re.compile(r"^### (.+?)\n\n```(\w+)\n(.*?)```", re.DOTALL | re.MULTILINE)
RECIPES = {name: (language, code) for name, language, code in RECIPE.findall(TEXT)}
NEEDS = {"List with gcloud": "gcloud", "Chat with LangChain": "langchain_openai", "Chat with LiteLLM": "litellm"}
RUNS_OTHERS = "A program of the SDK that names no address"
QUICK = ("Chat with curl",)
SAID = "these weights are random and nothing was learned"
PRINTED = {"Deploy with the SDK": "/endpoints/", "Tune with the SDK": "/models/", "Tune with google-genai": "/models/"}
PRINTED |= {"List with gcloud": "recipes", RUNS_OTHERS: "/endpoints/", "Chat with openai": SAID}
PLUGIN = ("-p", "no:localvertex", "-p", "jobs.localvertex.testing", "-p", "no:django", "-p", "no:cacheprovider")


def clean_environment() -> dict[str, str]:
    ours = ("PYTEST_", "DJANGO_", "STORAGE_", "GOOGLE_")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)} | {"PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def instant(tmp_path_factory):
    with run(tmp_path_factory.mktemp("recipes"), ["--instant"]) as server:
        yield server


@pytest.fixture(scope="module")
def endpoint(instant: Server) -> str:
    body = {
        "publisherModelName": "publishers/qwen/models/qwen3@qwen3-8b",
        "endpointConfig": {"endpointUserId": "recipes"},
    }
    address = f"{instant.api_endpoint}/v1beta1"
    operation = httpx.post(f"{address}/{instant.parent}:deploy", json=body, trust_env=False).json()["name"]
    ended = httpx.post(f"{address}/{operation}:wait", json={}, timeout=30, trust_env=False).json()
    return str(ended["response"]["endpoint"])


def list_recipes(*, slow: bool) -> list[str]:
    return sorted(name for name in RECIPES if (name in QUICK) != slow)


def follow(name: str, server: Server, endpoint: str, folder: Path) -> str:
    needed = NEEDS.get(name, "json")
    if not (find_spec(needed) or shutil.which(needed)):
        pytest.skip(f"needs {needed}")
    language, code = RECIPES[name]
    arguments = []
    if name == RUNS_OTHERS:
        arguments = [str(folder / "other.py")]
        (folder / "other.py").write_text(
            "import vertexai\nvertexai.init(project='local-project', location='us-central1')\n"
            "from google.cloud import aiplatform\n"
            "print([one.resource_name for one in aiplatform.Endpoint.list()])\n"
        )
    command = [sys.executable, "-W", "ignore", "-c", code] if language == "python" else ["bash", "-euc", code]
    environment = clean_environment() | dict(server.environment) | {"ENDPOINT": endpoint, "NO_PROXY": "127.0.0.1"}
    ran = subprocess.run(
        command + arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_recipes_are_those_that_are_promised():
    assert sorted(RECIPES) == sorted({*QUICK, *NEEDS, *PRINTED})


@pytest.mark.parametrize("name", list_recipes(slow=False))
def test_recipe(name, instant, endpoint, tmp_path):
    assert SAID in follow(name, instant, endpoint, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_recipes(slow=True))
def test_long_recipe(name, instant, endpoint, tmp_path):
    said = follow(name, instant, endpoint, tmp_path)
    assert PRINTED.get(name, SAID) in said


@pytest.mark.slow
def test_another_project_uses_it_in_its_tests(tmp_path):
    _, section = TEXT.split("## Tests of other projects\n")
    (tmp_path / "test_theirs.py").write_text(section.partition("```python\n")[2].partition("```")[0])
    command = [sys.executable, "-m", "pytest", "-q", *PLUGIN, "--rootdir", "."]
    ran = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=90, check=False
    )
    assert (ran.returncode, "1 passed" in ran.stdout) == (0, True), ran.stdout + ran.stderr
