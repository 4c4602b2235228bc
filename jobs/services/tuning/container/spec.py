"""The rules for a training in a container of the project's own."""

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.errors import Problem
from jobs.models.runs.container import Quantization
from jobs.services.catalogue import regions, training_machines
from jobs.services.tuning import spec_words as words
from jobs.services.tuning.spec_terms import Terms

Values = Mapping[str, Any]


def find_machine_problems(values: Values, terms: Terms) -> Iterator[Problem]:
    facts, machine, mode = terms.facts, values["training_machine"], values["tuning_mode"]
    if facts is None or mode not in facts.modes:
        return
    if not machine:
        if mode not in facts.managed_modes:
            yield Problem("required", "training_machine", words.no_training_machine(terms.model_title))
    elif facts.container is None or mode not in facts.container.modes or not terms.has_container:
        yield Problem("not_offered", "training_machine", words.managed_machine())
    elif machine not in training_machines.list_machines():
        yield Problem("invalid_choice", "training_machine", words.training_machine())
    elif values["quantization"] in training_machines.SHARE:
        known = training_machines.list_machines()[machine]
        if reason := training_machines.why_not_fit(facts.container, known, values["quantization"]):
            yield Problem("does_not_fit", "training_machine", reason)


def find_quantization_problems(values: Values, terms: Terms) -> Iterator[Problem]:
    quantization = values["quantization"]
    if quantization and quantization not in Quantization.values:
        yield Problem("invalid_choice", "quantization", words.quantization())
    elif quantization and not values["training_machine"]:
        yield Problem("not_offered", "quantization", words.managed_quantization())


def find_region_problems(values: Values, terms: Terms) -> Iterator[Problem]:
    if values["training_machine"] and values["location"] == regions.GLOBAL:
        yield Problem("not_offered", "location", words.no_global_container())


def find_checkpoint_problems(values: Values, terms: Terms) -> Iterator[Problem]:
    if values["training_machine"] and values["export_last_checkpoint_only"]:
        yield Problem("not_offered", "export_last_checkpoint_only", words.every_checkpoint())
