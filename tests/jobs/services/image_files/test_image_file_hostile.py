import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.jobs.services.image_files.hostile_pictures import all_files
from tests.support.running import ROOT

PROGRAM = Path(__file__).with_name("clean_them_all.py")


@pytest.fixture(scope="module", params=["some", pytest.param("all", marks=pytest.mark.slow)])
def outcomes(request, tmp_path_factory):
    """`make test` tries each twelfth of the files."""
    folder, step = tmp_path_factory.mktemp("hostile"), 12 if request.param == "some" else 1
    files = sorted(all_files().items())
    assert len(files) >= 300
    for name, content in files[::step]:
        (folder / name).write_bytes(content)
    environment = {"PYTHONPATH": str(ROOT)}
    began = time.monotonic()
    command = [sys.executable, str(PROGRAM), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=True)
    found = json.loads(done.stdout)
    print(len(found["results"]), "files", time.monotonic() - began, "s", found["largest_child"] // 2**20, "MB")
    return found


def test_none_makes_it_fail(outcomes):
    assert [result for result in outcomes["results"] if "failed" in result] == []


def test_each_is_refused_or_cleaned_as_it_should_be(outcomes):
    wrong = [
        (result["name"], result.get("refused"))
        for result in outcomes["results"]
        if (result["name"].startswith("refused-") and "refused" not in result)
        or (result["name"].startswith("cleaned-") and "file" not in result)
    ]
    assert wrong == []


def test_every_refusal_is_a_sentence(outcomes):
    sentences = {result["refused"] for result in outcomes["results"] if "refused" in result}
    assert [text for text in sentences if not text.startswith("it ") or not text.endswith(".")] == []


def test_what_is_kept_is_pixels_and_nothing_else(outcomes):
    for result in outcomes["results"]:
        if "file" not in result:
            continue
        content = Path(result["file"]).read_bytes()
        with Image.open(result["file"]) as picture:
            picture.load()
            extra = set(picture.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
            kept = (picture.mode, list(picture.size), Image.MIME[picture.format], extra, b"EVIL" in content)
        assert kept == ("RGB", result["size"], result["type"], set(), False), result["name"]


def test_none_hangs_and_none_takes_much_memory(outcomes):
    assert [result for result in outcomes["results"] if result["seconds"] > 12] == []
    assert outcomes["largest_child"] < 300 * 2**20
