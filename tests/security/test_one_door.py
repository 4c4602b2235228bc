"""The same action has no second door: services alone ask Vertex AI for what is paid, and they ask whose it is.

Which service asks what is shown by calling them, in test_storage_access.py and test_foreign_ids.py. Here it is shown
that there is no way around them.
"""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.threat("T2")
ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
# What asks the policy of Cloud Storage, and for what.
ASKS = {
    "jobs/services/storage/browsing.py": {"check_can_read", "why_not_read"},
    "jobs/services/datasets/cloud/imports.py": {"check_can_read", "why_not_read"},
    "jobs/services/datasets/cloud/source.py": {"why_not_read"},
    "jobs/services/datasets/references.py": {"why_not_read"},
    "jobs/services/endpoints/endpoints.py": {"check_can_read"},
    "jobs/services/endpoints/deployed_models.py": {"check_can_read"},
    "jobs/services/tuning/output_check.py": {"check_can_claim", "why_not_claim"},
    "jobs/services/accounts/preferences.py": {"check_can_write"},
    "jobs/services/tuning/terms.py": {"why_not_claim", "why_not_read"},
}
# Besides these, what uses the gateway's storage takes the address from a row that asked, or makes it itself.
OF_ROWS = {
    "jobs/services/datasets/cloud/reading.py",
    "jobs/services/datasets/cloud/source.py",
    "jobs/services/health/checks.py",
    "jobs/services/preflight/checks.py",
    "jobs/services/storage/output_files.py",
    "jobs/services/tuned_models/content.py",
    "jobs/services/tuned_models/deployable.py",
    "jobs/services/tuning/reading/log.py",
    "jobs/services/tuned_models/merging.py",
    "jobs/services/tuning/container/reports.py",
    "jobs/services/tuning/observe.py",
    "jobs/services/tuning/removal.py",
    "jobs/services/datasets/images/sending.py",
    "jobs/services/tuning/steps.py",
}


def contract(name):
    return next(one for one in CONTRACTS if one["name"] == name)


def services():
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in (ROOT / "jobs").rglob("*.py")}


def calls_on(tree, name):
    """The methods that are called of what is called `name`, as a variable or as the last attribute."""
    called = (
        node.func for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    )
    return {func.attr for func in called if name in (getattr(func.value, "id", ""), getattr(func.value, "attr", ""))}


def test_only_services_reach_vertex_ai_and_only_its_gateway_reaches_google():
    gate = contract("Only services call the gateway")
    assert (gate["type"], gate["protected_modules"], gate["allowed_importers"]) == (
        "protected", ["jobs.vertex"], ["jobs.services"],
    )  # fmt: skip
    google = contract("Only jobs.vertex.sdk and the file store import Google's clients")
    assert (google["type"], google["forbidden_modules"]) == ("forbidden", ["google", "vertexai"])
    assert {"console", "jobs.services", "jobs.models", "jobs.tasks"} <= set(google["source_modules"])
    kept_apart = {name for name in google["source_modules"] if name.startswith("jobs.files.")}
    modules = {f"jobs.files.{path.stem}" for path in (ROOT / "jobs/files").glob("[a-z]*.py")}
    assert modules - kept_apart == {"jobs.files.gcs"}
    forms = contract("Forms, tags and middleware do no work")
    assert {"jobs.services", "jobs.tasks", "jobs.vertex"} == set(forms["forbidden_modules"])


def test_these_contracts_hold():
    command = Path(sys.executable).with_name("lint-imports")
    assert subprocess.run([command], cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_every_module_that_touches_an_address_of_cloud_storage_is_known_here():
    found = {
        path
        for path, tree in services().items()
        if path.startswith("jobs/services/")
        and any(isinstance(node, ast.Attribute) and node.attr == "storage" for node in ast.walk(tree))
    }
    assert found == {*OF_ROWS, "jobs/services/storage/browsing.py", "jobs/services/tuning/output_check.py"}


def test_what_takes_an_address_from_a_person_asks_the_policy():
    trees = services()
    asked = {path: calls_on(trees[path], "policies") | calls_on(trees[path], "storage_policies") for path in ASKS}
    assert {path: asked[path] & {*wanted} for path, wanted in ASKS.items()} == ASKS


def test_the_policy_is_asked_of_rows_and_touches_nothing_else():
    tree = services()["jobs/services/storage/policies.py"]
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in imported if name.startswith("jobs")} == {
        "jobs.errors", "jobs.files.address", "jobs.models", "jobs.models.fields.uris", "jobs.text.deferred",
    }  # fmt: skip
    written = {"save", "create", "update", "delete", "get_or_create", "update_or_create", "bulk_create"}
    called = {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert written & called == set()
