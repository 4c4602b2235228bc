import ast
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from jobs.localvertex.__main__ import GOOGLE, Types
from tests.jobs.localvertex.servers import ROOT

CODE = """
import json, sys
from jobs.localvertex.__main__ import without_what_takes_long
without_what_takes_long()
from google.cloud.aiplatform_v1beta1.types import TuningJob, accelerator_type
from google.cloud.aiplatform_v1 import types
heavy = ["grpc", "google.auth", "google.cloud.storage", "rich", "click",
         "google.cloud.aiplatform_v1beta1.types.featurestore_service", "google.cloud.aiplatform_v1beta1.services"]
print(json.dumps([TuningJob(name="a").name, hasattr(types, "NoSuch"), [name for name in heavy if name in sys.modules]]))
import httpx, jobs.localvertex.app
print(json.dumps([name for name in heavy if name in sys.modules]))
"""


def test_nothing_is_loaded_that_a_start_does_not_need():
    said = subprocess.check_output([sys.executable, "-c", CODE], cwd=ROOT, text=True).splitlines()
    assert [json.loads(line) for line in said] == [["a", False, []], []]


@pytest.mark.parametrize("package", GOOGLE)
def test_each_type_of_google_is_found(package):
    place = Path(find_spec(package).origin).parent / "types/__init__.py"
    (exported,) = [
        ast.literal_eval(node.value)
        for node in ast.parse(place.read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    types = Types(find_spec(f"{package}.types"))
    assert set(types.__dict__["_modules"]) == set(exported)
    assert types.Endpoint.__module__ == f"{package}.types.endpoint"
