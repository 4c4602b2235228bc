"""Whole imports: from a hub on loopback to a model that can be deployed, and what may go wrong on the way."""

import ast
import json
import re
import shlex
import sys
import threading
import time
from pathlib import Path

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.imports import importer
from jobs.localvertex.imports.importer import Imports
from jobs.localvertex.models import catalogue
from jobs.localvertex.models.base_models import BaseModels
from jobs.localvertex.models.conversion import Converter
from tests.jobs.localvertex.imports.conftest import change_config, make_gguf
from tests.jobs.localvertex.servers import FAKE_ENGINE

ID, REPOSITORY, MODEL = "import-1", "acme/Tiny-Gemma", "hf-acme/tiny-gemma@001"
SECONDS = 30


class Here:
    """The imports of a server, with a converter that only says so."""

    def __init__(self, data: Path) -> None:
        self.data = data
        data.mkdir(exist_ok=True)
        self.weights = BaseModels(data, [], {}, [sys.executable, "-c", ""], 10**10)
        self.imports = Imports(data, self.weights, Converter(shlex.split(FAKE_ENGINE)))
        self.catalogue = catalogue.Catalogue([])
        self.imports.show_in(self.catalogue)

    def start(self, source: str = REPOSITORY, *, id: str = ID, revision: str = "", file: str = "", token: str = ""):
        return self.imports.start(id, source, revision, file, token)

    def run(self, source: str = REPOSITORY, **asked: str):
        self.start(source, **asked)
        return self.wait(asked.get("id", ID))

    def wait(self, id: str = ID, state: str = ""):
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            entry = self.imports.get(id)
            if entry.state == state or (not state and entry.state != "RUNNING"):
                return entry
            time.sleep(0.01)
        raise AssertionError(self.imports.get(id))

    def wait_for_bytes(self, count: int) -> None:
        until = time.monotonic() + SECONDS
        while self.imports.get(ID).done < count and time.monotonic() < until:
            time.sleep(0.01)

    @property
    def leftovers(self) -> list[str]:
        """What of imports lies on the disk beside whole models."""
        return sorted(path.name for path in (self.data / "imports").glob("*/files/*"))


@pytest.fixture
def here(tmp_path):
    made = Here(tmp_path / "data")
    yield made
    made.imports.stop()


def test_a_repository_becomes_a_model_that_can_be_deployed_and_tuned(here, hub, tiny):
    card = {"license": "apache-2.0"}
    code = {"modeling_tiny.py": b"raise SystemExit", "pytorch_model.bin": b"\x80\x04.", "onnx/model.onnx": b"x"}
    hub.add(REPOSITORY, tiny | code, card=card)
    entry = here.run()
    assert (entry.state, entry.model, entry.message) == ("DONE", MODEL, "")
    model = here.catalogue.get(MODEL)
    assert (model.display_name, model.licence.name, model.licence.acceptance) == ("Tiny-Gemma", "apache-2.0", False)
    assert (model.tuning is not None, [one.machine_type for one in model.machines]) == (True, ["local-cpu"])
    assert here.catalogue.find_at_hugging_face("acme/tiny-gemma") == model
    found = here.weights.get(MODEL)
    assert (found.servable, found.trainable, found.state) == (True, True, "ready")
    taken = {path.name for path in found.hf.iterdir()}
    assert taken == set(tiny) | {"model.gguf", "model-card.json", "origin.json"}
    assert set(hub.asked_files()) == set(tiny)
    assert entry.done == entry.total == sum(map(len, tiny.values()))
    assert here.leftovers == []


def test_what_was_imported_is_there_after_a_restart(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()
    again = Here(here.data)
    assert [one.id for one in again.weights.all() if one.id.startswith("hf-")] == [MODEL]
    assert again.imports.get(ID).model == MODEL


def test_the_facts_are_told_before_anything_is_taken(here, hub, tiny):
    hub.add(REPOSITORY, tiny | {"model.py": b"x"}, card={"license": "apache-2.0"})
    facts = here.imports.inspect(REPOSITORY, "", "", "")
    told = {name: facts[name] for name in ("size", "licence", "family", "tunable", "gated", "chat_template", "model")}
    assert told == {
        "size": sum(map(len, tiny.values())), "licence": "apache-2.0", "family": "Gemma 3", "tunable": True,
        "gated": False, "chat_template": True, "model": "",
    }  # fmt: skip
    assert "model.safetensors" not in hub.asked_files()


def test_the_same_files_are_taken_once(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    here.run()
    entry = here.run(id="import-2")
    assert (entry.state, MODEL in entry.message) == ("FAILED", True)
    hub.repositories[REPOSITORY].files["LICENSE"] = b"newer"
    assert here.run(id="import-3").model == "hf-acme/tiny-gemma@002"


def test_a_network_that_breaks_in_the_middle_goes_on_where_it_was(here, hub, tiny):
    hub.add(REPOSITORY, tiny, cuts={"model.safetensors": [1000, 500]})
    assert here.run().state == "DONE"
    ranges = [headers.get("range") for _, path, headers in hub.asked if path.endswith("model.safetensors")]
    assert ranges == [None, "bytes=1000-", "bytes=1500-"]


def test_a_hub_that_cannot_continue_a_file_sends_it_anew(here, hub, tiny):
    hub.add(REPOSITORY, tiny, cuts={"model.safetensors": [1000]}, takes_ranges=False)
    entry = here.run()
    assert (entry.state, entry.done) == ("DONE", entry.total)


def test_it_is_paused_and_resumed(here, hub, tiny):
    held = threading.Event()
    hub.add(REPOSITORY, tiny, held={"model.safetensors": held})
    here.start()
    here.wait_for_bytes(len(tiny["model.safetensors"]) // 2)
    here.imports.pause(ID)
    held.set()
    assert here.wait().state == "PAUSED"
    assert here.catalogue.all() == []
    assert here.run().state == "DONE"


def test_what_is_cancelled_leaves_nothing(here, hub, tiny):
    held = threading.Event()
    hub.add(REPOSITORY, tiny, held={"model.safetensors": held})
    here.start()
    here.wait_for_bytes(len(tiny["model.safetensors"]) // 2)
    here.imports.cancel(ID)
    held.set()
    until = time.monotonic() + SECONDS
    while (here.data / "imports" / ID).exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert ((here.data / "imports" / ID).exists(), here.catalogue.all()) == (False, [])
    with pytest.raises(ApiError, match="import-1 is not found"):
        here.imports.get(ID)


def test_what_a_restart_cut_off_is_interrupted_and_goes_on_with_the_token(here, hub, tiny):
    held = threading.Event()
    hub.add(REPOSITORY, tiny, gated="auto", tokens=("secret-1",), held={"model.safetensors": held})
    here.start(token="secret-1")
    here.wait_for_bytes(len(tiny["model.safetensors"]) // 2)
    here.imports.stop()
    held.set()
    here.wait(state="INTERRUPTED")
    again = Here(here.data)
    assert again.imports.get(ID).state == "INTERRUPTED"
    assert again.run(token="secret-1").state == "DONE"
    assert again.catalogue.get(MODEL).licence.acceptance
    kept = b"".join(path.read_bytes() for path in here.data.rglob("*") if path.is_file())
    assert b"secret-1" not in kept


def test_a_file_whose_checksum_differs_is_not_kept(here, hub, tiny):
    hub.add(REPOSITORY, tiny, sums={"model.safetensors": "0" * 64})
    entry = here.run()
    assert (entry.state, "The checksum of model.safetensors differs" in entry.message) == ("FAILED", True)
    assert "model.safetensors" not in " ".join(here.leftovers)
    hub.repositories[REPOSITORY].sums.clear()
    assert here.run().state == "DONE"


def test_the_checksum_of_a_small_file_is_gits(here, hub, tiny):
    hub.add(REPOSITORY, tiny, sums={"tokenizer.json": "0" * 40})
    assert "The checksum of tokenizer.json differs" in here.run().message


@pytest.mark.parametrize("size", [0, 10])
def test_a_file_that_is_larger_than_was_said_is_refused(here, hub, tiny, size):
    hub.add(REPOSITORY, tiny, sizes={"model.safetensors": size})
    entry = here.run()
    assert (entry.state, "sent more of model.safetensors" in entry.message) == ("FAILED", size > 0)
    assert here.catalogue.all() == []


def test_a_disk_that_is_too_small_is_said_before_anything_is_taken(here, hub, tiny):
    hub.add(REPOSITORY, tiny, sizes={"model.safetensors": 10**18})
    entry = here.run()
    assert (entry.state, "Make room on it, and resume." in entry.message) == ("PAUSED", True)
    assert "model.safetensors" not in hub.asked_files()


def test_a_disk_that_is_full_in_the_middle_pauses_it_until_there_is_room(here, hub, tiny):
    made = hub.add(REPOSITORY, tiny, sizes={"model.safetensors": 10**18})
    here.run()
    made.sizes.clear()
    full = here.data / "imports" / ID / "files" / "model.safetensors.part"
    full.symlink_to("/dev/full")
    entry = here.run()
    sentence = "The disk of the local Vertex AI is full. Make room on it, and resume."
    assert (entry.state, entry.message, here.catalogue.all()) == ("PAUSED", sentence, [])
    full.unlink()
    assert here.run().state == "DONE"


def test_an_import_whose_beginning_cannot_be_written_has_not_begun(here, hub, tiny):
    hub.add(REPOSITORY, tiny)
    folder = here.data / "imports"
    folder.write_text("in the way")
    with pytest.raises(OSError, match="imports"):
        here.start()
    with pytest.raises(ApiError, match="import-1 is not found"):
        here.imports.get(ID)
    folder.unlink()
    assert here.run().state == "DONE"


def test_weights_that_are_not_what_the_configuration_says_are_refused(here, hub, tiny):
    hub.add(REPOSITORY, change_config(tiny, hidden_size=32))
    entry = here.run()
    assert entry.state == "FAILED"
    assert "not those of the Gemma 3 model that config.json describes" in entry.message
    assert (here.leftovers, here.catalogue.all(), here.weights.find(MODEL)) == ([], [], None)


def test_a_conversion_that_fails_leaves_nothing(tmp_path, hub, tiny):
    here = Here(tmp_path / "other")
    engine = [sys.executable, "-c", "import sys; print('no such tokenizer'); sys.exit('--help' not in sys.argv)"]
    here.imports = Imports(here.data, here.weights, Converter(engine))
    hub.add(REPOSITORY, tiny)
    entry = here.run()
    assert (entry.state, entry.message) == (
        "FAILED", "The model could not be converted to GGUF: no such tokenizer",
    )  # fmt: skip
    assert (here.leftovers, list((here.data / "imported").glob("*"))) == ([], [])


def test_a_gguf_file_is_served_and_made_ready_for_tuning(here, hub, tmp_path):
    files = {"tiny-Q8_0.gguf": make_gguf(tmp_path), "tiny-Q4_K_M.gguf": make_gguf(tmp_path)}
    hub.add("acme/tiny-GGUF", files)
    facts = here.imports.inspect("acme/tiny-GGUF", "", "", "")
    assert (facts["file"], [one["name"] for one in facts["choices"]]) == (
        "tiny-Q4_K_M.gguf",
        ["tiny-Q4_K_M.gguf", "tiny-Q8_0.gguf"],
    )
    entry = here.run("acme/tiny-GGUF", file="tiny-Q8_0.gguf")
    assert (entry.state, entry.model) == ("DONE", "hf-acme/tiny-gguf@001")
    assert here.catalogue.get(entry.model).context_tokens == 4096
    assert here.weights.get(entry.model).servable


def test_a_gguf_of_an_unknown_architecture_is_refused(here, hub, tmp_path):
    hub.add("acme/new-GGUF", {"new.gguf": make_gguf(tmp_path, "quantum")})
    entry = here.run("acme/new-GGUF")
    assert (entry.state, "the architecture 'quantum'" in entry.message) == ("FAILED", True)
    assert here.leftovers == []


def test_without_a_chat_template_the_card_says_what_that_means(here, hub, tiny):
    hub.add(REPOSITORY, {name: content for name, content in tiny.items() if name != "chat_template.jinja"})
    assert here.imports.inspect(REPOSITORY, "", "", "")["chat_template"] is False
    here.run()
    assert "has no chat template" in here.catalogue.get(MODEL).summary


def test_a_folder_of_this_machine_is_copied(here, tmp_path, tiny):
    folder = tmp_path / "My Model"
    folder.mkdir()
    for name, content in tiny.items():
        (folder / name).write_bytes(content)
    entry = here.run(str(folder))
    assert (entry.state, entry.model) == ("DONE", "local/my-model@001")
    assert here.weights.get(entry.model).hf.parent == here.data / "imported"


def test_code_that_a_configuration_names_is_never_taken(here, hub, tiny):
    files = change_config(tiny, auto_map={"AutoModelForCausalLM": "modeling_tiny.Tiny"})
    hub.add(REPOSITORY, files | {"modeling_tiny.py": b"raise SystemExit"})
    here.run()
    assert not list(here.data.rglob("*.py"))
    stored = json.loads((here.weights.get(MODEL).hf / "config.json").read_text())
    assert "auto_map" not in stored


@pytest.mark.slow
def test_a_network_that_stays_away_pauses_it_and_keeps_what_came(here, hub, tiny):
    made = hub.add(REPOSITORY, tiny, cuts={"model.safetensors": [1000, *[0] * 20]})
    entry = here.run()
    assert entry.state == "PAUSED"
    assert "What was downloaded is kept. Check the network of this machine" in entry.message
    assert ("model.safetensors.part" in here.leftovers, here.catalogue.all()) == (True, [])
    made.cuts.clear()
    assert here.run().state == "DONE"
    ranges = [headers.get("range") for _, path, headers in hub.asked if path.endswith("model.safetensors")]
    assert ranges[-1] == "bytes=1000-"


REFUSALS = ("ApiError", "Broken", "invalid", "precondition", "unavailable")
REMEDIES = (
    "Add", "Agree", "Ask", "Check", "Choose", "Copy", "Download", "Enter", "Free", "Give", "Import", "Install", "Let",
    "Look", "Make", "Remove", "Resume", "Set", "Try", "Undeploy", "Wait",
)  # fmt: skip


def sentences_of(path: Path) -> list[str]:
    """What its refusals say, with a sign for each value."""
    found = []
    for call in ast.walk(ast.parse(path.read_text())):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in REFUSALS:
            text = call.args[1 if call.func.id == "ApiError" else 0]
            parts = text.values if isinstance(text, ast.JoinedStr) else [text]
            said = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts]
            found += ["".join(said)] if any(isinstance(part, ast.Constant) for part in parts) else []
    return found


RULES = (
    "The id of an import has 8 to 64 small letters, digits and hyphens.",  # of a program
    "A name or path can't contain control characters.",
    "… is no branch, tag or commit.",
)


@pytest.mark.parametrize("path", sorted(Path(importer.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_whatever_goes_wrong_ends_in_what_to_do(path):
    """`…` at the end stands for a remedy that several sentences share."""
    without = [
        text
        for text in sentences_of(path)
        if text not in RULES
        and not text.endswith("…")
        and re.split(r"[.;:] (?=[A-Z])", text)[-1].split()[0] not in REMEDIES
    ]
    assert without == []
