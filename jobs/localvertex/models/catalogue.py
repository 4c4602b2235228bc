"""What is known of each open model: a data file with the date and the source of every fact."""

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jobs.localvertex.api.errors import ApiError, invalid
from jobs.localvertex.engine.families.table import TITLES
from jobs.localvertex.models.packaged import GEMMA, SEES, SMOLLM, how_to_get

FILE = Path(__file__).with_name("catalogue.json")
WITHOUT_CHAT = Path(__file__).with_name("without_chat.json")  # what Model Garden has as well, and nothing here serves
# From their own files.
TUNED_HERE = ("gemma3", "gemma4", "medgemma", "smollm2", "llama3_1", "llama3-2", "llama3-3", "qwen3", "gpt-oss")
TUNED_HERE_ONLY = (GEMMA,)
HERE_ONLY = (SMOLLM, SEES)
ADAPTER_SIZES = (1, 2, 4, 8, 16, 32)
ID = re.compile(r"^(?:publishers/)?(?P<publisher>[\w.-]+)/(?:models/)?(?P<family>[\w.-]+)@(?P<version>[\w.-]+)$")


@dataclass(frozen=True)
class Licence:
    """`name` is empty where nobody told it."""

    name: str = ""
    url: str = ""
    acceptance: bool = False


@dataclass(frozen=True)
class Machine:
    machine_type: str
    accelerator_type: str = ""
    accelerator_count: int = 0
    usd_per_hour: float | None = None


LOCAL_MACHINE = Machine("local-cpu", usd_per_hour=0)


@dataclass(frozen=True)
class Tuning:
    modes: tuple[str, ...] = ("PEFT_ADAPTER", "FULL")
    adapter_sizes: tuple[int, ...] = ADAPTER_SIZES
    max_tokens: int = 2048
    usd_per_million_tokens: float | None = None


@dataclass(frozen=True)
class CatalogueModel:
    """`sample_request` and the container's `image`: of one that does not chat."""

    id: str
    display_name: str
    summary: str = ""
    parameters: str = ""
    context_tokens: int = 0
    modalities: tuple[str, ...] = ("text",)
    licence: Licence = field(default_factory=Licence)
    tuning: Tuning | None = None
    machines: tuple[Machine, ...] = ()
    weights: str = ""
    sample_request: str = ""
    image: str = ""

    @property
    def how_to_get(self) -> str:
        """The weights, on this machine."""
        start = f"start the server with --base-model {self.id}=FOLDER"
        if of_package := how_to_get(self.id):
            return f"{of_package}. Or download {self.weights} and {start}."
        if self.family in TUNED_HERE:
            return f"Download {self.weights}, {start}, or use Vertex AI for this model."
        return (
            f"This server tunes {TITLES} only. To deploy the model here, convert"
            f" {self.weights} to model.gguf with llama.cpp and {start}; otherwise use Vertex AI for it."
        )

    @property
    def publisher(self) -> str:
        return self.id.partition("/")[0]

    @property
    def family(self) -> str:
        return self.id.partition("/")[2].partition("@")[0]

    @property
    def version(self) -> str:
        return self.id.partition("@")[2]

    @property
    def resource_name(self) -> str:
        return f"publishers/{self.publisher}/models/{self.family}@{self.version}"


class Catalogue:
    def __init__(self, models: list[CatalogueModel]) -> None:
        self._models = {model.id: model for model in models}

    def all(self) -> list[CatalogueModel]:
        return list(self._models.values())

    def add(self, model_id: str, card: dict[str, Any], *, tunable: bool = True, images: bool = False) -> None:
        """A model of the user's own folder. A card of a known model only corrects it."""
        known = self._models.get(model_id)
        base = {"id": model_id, "display_name": model_id.partition("@")[2], "tuning": {}, "machines": []}
        base["modalities"] = ["text", "image"] if images else ["text"]
        model = known if known and not card else _model(base | card | {"id": model_id})
        self._models = {**self._models, model_id: model if tunable else replace(model, tuning=None)}

    def remove(self, model_id: str) -> None:
        self._models = {name: model for name, model in self._models.items() if name != model_id}

    def with_machine(self, model_id: str, machine: Machine) -> None:
        model = replace(self._models[model_id], machines=(machine,))
        self._models = {**self._models, model_id: model}

    def be_google(self, usual: Machine) -> None:
        """Without what only this server offers: models, its machine, and the tuning of what Google does not tune."""
        self._models = {name: model for name, model in self._models.items() if name not in HERE_ONLY}
        for model in self.all():
            machines = tuple(one for one in model.machines if one.machine_type != LOCAL_MACHINE.machine_type)
            tuning = None if model.id in TUNED_HERE_ONLY else model.tuning
            self._models[model.id] = replace(model, machines=machines or (usual,), tuning=tuning)

    def find(self, model_id: str) -> CatalogueModel | None:
        return self._models.get(model_id)

    def find_by_weights(self, name: str) -> CatalogueModel | None:
        """`google/gemma-3-270m`, a path that ends so, or an id of this catalogue."""
        wanted = re.split(r"[/@]", name.rstrip("/"))[-1].lower()
        return next((model for model in self._models.values() if model.version.lower() == wanted), None)

    def find_at_hugging_face(self, name: str) -> CatalogueModel | None:
        """Of `organization/model` there, which Google's client sends in small letters."""
        wanted = f"https://huggingface.co/{name}".lower()
        found = [model for model in self._models.values() if model.weights.lower() == wanted]
        imported = [model for model in found if model.publisher == f"hf-{name.partition('/')[0]}".lower()]
        return next(iter([*reversed(imported), *found]), None)

    def get_default(self, name: str, field: str = "base_model") -> CatalogueModel:
        """A name without a version means the family's first."""
        if "@" in name:
            return self.get(name, field)
        for model in self._models.values():
            if name in (f"publishers/{model.publisher}/models/{model.family}", f"{model.publisher}/{model.family}"):
                return model
        raise ApiError("NOT_FOUND", f"PublisherModel {name} does not exist.")

    def get(self, name: str, field: str = "base_model") -> CatalogueModel:
        """`field` of the request is what a refusal is about."""
        model = self._models.get(model_id(name, field))
        if model is None:
            raise ApiError("NOT_FOUND", f"PublisherModel {name} does not exist.")
        return model


def load(*paths: Path) -> Catalogue:
    entries = [entry for path in paths or (FILE,) for entry in json.loads(path.read_text(encoding="utf-8"))["models"]]
    return Catalogue([_model(entry) for entry in entries])


def model_id(name: str, field: str = "base_model") -> str:
    """`publisher/family@version` from that or from the long resource name."""
    found = ID.match(name)
    if found is None:
        message = (
            f"Invalid open source publisher model resource name: {name!r}."
            " Expected {publisher}/{model}@{version}, for example google/gemma3@gemma-3-270m."
        )
        raise invalid(message, field)
    return f"{found['publisher']}/{found['family']}@{found['version']}"


def _model(entry: dict[str, Any]) -> CatalogueModel:
    tuning = entry.get("tuning")
    return CatalogueModel(
        id=entry["id"],
        display_name=entry["display_name"],
        summary=entry.get("summary", ""),
        parameters=entry.get("parameters", ""),
        context_tokens=entry.get("context_tokens", 0),
        modalities=tuple(entry.get("modalities", ("text",))),
        licence=Licence(**entry.get("licence", {})),
        tuning=None if tuning is None else _tuning(tuning),
        weights=entry.get("weights", ""),
        sample_request=json.dumps(entry["sample_request"]) if "sample_request" in entry else "",
        image=entry.get("image", ""),
        machines=tuple(Machine(**machine) for machine in entry.get("machines", ())),
    )


def _tuning(entry: dict[str, Any]) -> Tuning:
    default = Tuning()
    return Tuning(
        modes=tuple(entry.get("modes", default.modes)),
        adapter_sizes=tuple(entry.get("adapter_sizes", default.adapter_sizes)),
        max_tokens=entry.get("max_tokens", default.max_tokens),
        usd_per_million_tokens=entry.get("usd_per_million_tokens"),
    )
