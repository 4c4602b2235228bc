"""What a tuning job is asked to be, and whether it may be that: the one judge for forms, files and services."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from jobs.errors import InvalidValues, Problem
from jobs.models import Dataset, Endpoint, TuningMode

from .spec_rules import RULES
from .spec_terms import Terms


@dataclass(frozen=True)
class TuningSpec:
    """`learning_rate` absolute; `adapter_size` only with PEFT_ADAPTER; `batch_size` None: Vertex AI decides.
    What follows `export_last_checkpoint_only`, up to `max_seq_length`, goes for the local server and for a container
    alone; None and "": their defaults. `training_machine`: the one of a container; empty: managed tuning.

    `deploy_endpoint` gets the model beside its others, with `endpoint_share` percent; None: an endpoint of its own.
    `custom_base_model` is the folder of an earlier tuning to go on from; `location` empty: the one that is configured.
    """

    display_name: str
    base_model: str
    output_uri: str
    dataset: Dataset
    validation_dataset: Dataset | None = None
    epochs: int = 3
    learning_rate: float = 0.0002
    tuning_mode: str = TuningMode.PEFT_ADAPTER
    adapter_size: int | None = None
    batch_size: int | None = None
    export_last_checkpoint_only: bool = False
    warmup_ratio: float | None = None
    lr_scheduler_type: str = ""
    weight_decay: float | None = None
    seed: int | None = None
    max_seq_length: int | None = None
    training_machine: str = ""
    quantization: str = ""
    description: str = ""
    accepts_licence: bool = False
    auto_deploy: bool = False
    endpoint_display_name: str = ""
    machine_type: str = ""
    deploy_endpoint: Endpoint | None = None
    endpoint_share: int = 0
    endpoint_lease_hours: int | None = None
    endpoint_min_replicas: int = 1
    endpoint_max_replicas: int = 1
    endpoint_options: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    custom_base_model: str = ""
    location: str = ""

    def values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def request(self) -> dict[str, Any]:
        """The columns of the row, datasets by id."""
        shallow = self.values()
        datasets = {name: shallow.pop(name) for name in ("dataset", "validation_dataset")}
        endpoint = shallow.pop("deploy_endpoint")
        ids = {f"{name}_id": dataset.pk if dataset else None for name, dataset in datasets.items()}
        adapter_size = self.adapter_size if self.tuning_mode == TuningMode.PEFT_ADAPTER else None
        return (
            shallow
            | ids
            | {
                "deploy_endpoint_id": endpoint.pk if endpoint else None,
                "joins_endpoint": endpoint is not None,
                "adapter_size": adapter_size,
                "output_uri": self.output_uri.rstrip("/"),
                "location": self.location or settings.VERTEX_LOCATION,
            }
        )

    def validate(self, terms: Terms) -> None:
        """Raises InvalidValues with all that is wrong."""
        if problems := find_problems(self.values(), terms):
            raise InvalidValues(problems)


def find_problems(values: Mapping[str, Any], terms: Terms) -> list[Problem]:
    """Of some fields or of all, at most one each. What is not in `values` is not missed, so that a form can ask about
    one step, without the fields that could not be read."""
    found: dict[str, Problem] = {}
    for rule in RULES:
        if rule.needs <= values.keys():
            for problem in rule.find(values, terms):
                found.setdefault(problem.field, problem)
    return list(found.values())
