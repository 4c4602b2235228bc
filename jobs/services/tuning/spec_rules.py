"""The rules for the values of a tuning job, each with its sentence. They ask nobody but the terms they are given."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from jobs.errors import Problem
from jobs.models import Dataset, TuningMode
from jobs.models.endpoint import LONGEST_LEASE
from jobs.models.fields.labels import check_labels
from jobs.models.fields.names import name_problem
from jobs.models.runs.settings import ADVANCED, MOST_DECAY, MOST_SEED, MOST_WARMUP, SHORTEST_ROW, Schedule
from jobs.services.datasets import policies as dataset_policies
from jobs.services.endpoints import policies as endpoint_policies, spec_rules as endpoint_rules
from jobs.services.endpoints.serving.spec import ServingOptions
from jobs.text.deferred import gettext as _, join

from . import spec_words as words
from .container import spec as container
from .spec_terms import Terms

LONGEST_DESCRIPTION = 2000
Values = Mapping[str, Any]


class Rule(NamedTuple):
    """Judges the fields of `needs`, when all of them are known."""

    needs: frozenset[str]
    find: Callable[[Values, Terms], Iterable[Problem]]


def _name(values: Values, terms: Terms) -> Iterator[Problem]:
    yield from _bad_name("display_name", values["display_name"])


def _description(values: Values, terms: Terms) -> Iterator[Problem]:
    length = len(values["description"])
    if length > LONGEST_DESCRIPTION:
        yield Problem("max_length", "description", words.description(LONGEST_DESCRIPTION, length))


def _labels(values: Values, terms: Terms) -> Iterator[Problem]:
    try:
        check_labels(values["labels"])
    except ValueError as error:
        yield Problem("invalid", "labels", str(error))


def _base_model(values: Values, terms: Terms) -> Iterator[Problem]:
    place = "custom_base_model" if values["custom_base_model"] else "base_model"
    if values["custom_base_model"] and terms.continued is None:
        yield Problem("invalid_choice", place, words.no_start())
    elif not values["base_model"]:
        yield Problem("required", place, _("Choose a base model."))
    elif terms.continued and terms.continued.base_model != values["base_model"]:
        sentence = _("The model that you continue was tuned from %(model)s. Choose the same base model.")
        sentence %= {"model": terms.continued.base_model}
        yield Problem("differs", "base_model", sentence)
    elif terms.why_not_tune:
        yield Problem("not_tunable", place, terms.why_not_tune)


def _location(values: Values, terms: Terms) -> Iterator[Problem]:
    region = values["location"]
    if region and region not in terms.regions:
        sentence = _("Vertex AI doesn't tune open models in %(value)s. Choose a region from the list.") % {
            "value": region
        }
        yield Problem("invalid_choice", "location", sentence)


def _output(values: Values, terms: Terms) -> Iterator[Problem]:
    if not values["output_uri"]:
        yield Problem("required", "output_uri", words.no_output())
    elif reason := terms.why_not_write(values["output_uri"].rstrip("/")):
        yield Problem("not_writable", "output_uri", reason)


def _dataset(values: Values, terms: Terms) -> Iterator[Problem]:
    if values["dataset"] is None:
        yield Problem("required", "dataset", words.no_dataset())
    else:
        yield from _bad_dataset("dataset", values["dataset"], terms)


def _validation_dataset(values: Values, terms: Terms) -> Iterator[Problem]:
    if values["validation_dataset"] is not None:
        yield from _bad_dataset("validation_dataset", values["validation_dataset"], terms)


def _pair(values: Values, terms: Terms) -> Iterator[Problem]:
    train, validation = values["dataset"], values["validation_dataset"]
    if train and validation and (reason := dataset_policies.why_not_validate_with(train, validation)):
        yield Problem("does_not_fit", "validation_dataset", reason)


def _epochs(values: Values, terms: Terms) -> Iterator[Problem]:
    if terms.facts and not _is_whole(values["epochs"], terms.facts.max_epochs):
        yield Problem("out_of_range", "epochs", words.epochs(terms.facts))


def _learning_rate(values: Values, terms: Terms) -> Iterator[Problem]:
    if terms.facts and not 0 < (values["learning_rate"] or 0) <= terms.facts.max_learning_rate:
        yield Problem("out_of_range", "learning_rate", words.learning_rate(terms.facts))


def _batch_size(values: Values, terms: Terms) -> Iterator[Problem]:
    size = values["batch_size"]
    if terms.facts and size is not None and not _is_whole(size, terms.facts.max_batch_size):
        yield Problem("out_of_range", "batch_size", words.batch_size(terms.facts))


def _tuning_mode(values: Values, terms: Terms) -> Iterator[Problem]:
    """An adapter that is trained further keeps its form."""
    mode = values["tuning_mode"]
    if mode not in TuningMode.values:
        yield Problem("invalid_choice", "tuning_mode", words.tuning_mode())
    elif terms.facts and (reason := words.why_not_mode(mode, terms.facts, terms.model_title)):
        yield Problem("not_offered", "tuning_mode", reason)
    elif terms.continued and mode != terms.continued.tuning_mode:
        sentence = _("The model that you continue was tuned in the mode “%(mode)s”. Choose the same mode.")
        sentence %= {"mode": TuningMode(terms.continued.tuning_mode).label}
        yield Problem("differs", "tuning_mode", sentence)


def _adapter_size(values: Values, terms: Terms) -> Iterator[Problem]:
    mode, size = values["tuning_mode"], values["adapter_size"]
    if mode != TuningMode.PEFT_ADAPTER or not terms.facts or mode not in terms.facts.modes:
        return
    if size is None:
        yield Problem("required", "adapter_size", _("Choose an adapter size."))
    elif size not in terms.facts.adapter_sizes:
        yield Problem("invalid_choice", "adapter_size", words.adapter_size(terms.facts))
    elif terms.continued and terms.continued.tuning_mode == mode and size != terms.continued.adapter_size:
        sentence = _("The adapter that you continue has size %(size)s. Choose the same size.")
        sentence %= {"size": terms.continued.adapter_size}
        yield Problem("differs", "adapter_size", sentence)


def _advanced(values: Values, terms: Terms) -> Iterator[Problem]:
    """Google's tuning API has no field for these: nothing that was asked for is left out in silence."""
    if terms.facts and not terms.takes_advanced and not values["training_machine"]:
        for name in ADVANCED:
            if values[name] not in (None, ""):
                yield Problem("not_offered", name, words.not_on_vertex())


def _warmup_ratio(values: Values, terms: Terms) -> Iterator[Problem]:
    if not _is_within(values["warmup_ratio"], MOST_WARMUP):
        yield Problem("out_of_range", "warmup_ratio", words.warmup_ratio())


def _schedule(values: Values, terms: Terms) -> Iterator[Problem]:
    if values["lr_scheduler_type"] not in ("", *Schedule.values):
        yield Problem("invalid_choice", "lr_scheduler_type", words.schedule())


def _weight_decay(values: Values, terms: Terms) -> Iterator[Problem]:
    if not _is_within(values["weight_decay"], MOST_DECAY):
        yield Problem("out_of_range", "weight_decay", words.weight_decay())


def _seed(values: Values, terms: Terms) -> Iterator[Problem]:
    if not _is_whole_or_none(values["seed"], 0, MOST_SEED):
        yield Problem("out_of_range", "seed", words.seed())


def _max_seq_length(values: Values, terms: Terms) -> Iterator[Problem]:
    if terms.facts and not _is_whole_or_none(values["max_seq_length"], SHORTEST_ROW, terms.facts.max_sequence_tokens):
        yield Problem("out_of_range", "max_seq_length", words.max_seq_length(terms.facts))


def _endpoint_name(values: Values, terms: Terms) -> Iterator[Problem]:
    name = values["endpoint_display_name"]
    if name:
        yield from _bad_name("endpoint_display_name", name)
    elif values["auto_deploy"] and values["deploy_endpoint"] is None:
        sentence = _("Enter a name for the endpoint, or turn deployment off.")
        yield Problem("required", "endpoint_display_name", sentence)


def _deploy_endpoint(values: Values, terms: Terms) -> Iterator[Problem]:
    """One of others is refused like one that is not there."""
    endpoint = values["deploy_endpoint"]
    if endpoint is None:
        return
    if endpoint.owner_id != terms.owner_id:
        yield Problem("invalid_choice", "deploy_endpoint", words.no_endpoint())
    elif reason := endpoint_policies.why_not_join(endpoint):
        yield Problem("not_ready", "deploy_endpoint", join(reason, _("Choose another endpoint, or a new one.")))


def _region_of_endpoint(values: Values, terms: Terms) -> Iterator[Problem]:
    endpoint = values["deploy_endpoint"]
    if endpoint is None or endpoint.owner_id != terms.owner_id or endpoint_policies.why_not_join(endpoint):
        return
    if reason := endpoint_policies.why_not_join(endpoint, values["location"]):
        yield Problem("other_region", "deploy_endpoint", join(reason, _("Choose another endpoint, or a new one.")))


def _endpoint_options(values: Values, terms: Terms) -> Iterator[Problem]:
    """Of the accelerators of a machine nobody tells here."""
    options, is_beside = ServingOptions.from_json(values["endpoint_options"]), values["deploy_endpoint"] is not None
    machine = {"machine_type": values["machine_type"], "accelerator_count": 1, "spot": False, "shared_address": False}
    for problem in endpoint_rules.find_problems({"options": options, **machine}):
        yield replace(problem, field="machine_type") if problem.field == "machine" else problem
    if is_beside and options.idle_minutes is not None:
        yield Problem("not_offered", "idle_minutes", endpoint_rules.no_idle_beside())


def _endpoint_share(values: Values, terms: Terms) -> Iterator[Problem]:
    for problem in endpoint_rules.find_problems({"share": values["endpoint_share"]}):
        yield replace(problem, field="endpoint_share")


def _lease_of_endpoint(values: Values, terms: Terms) -> Iterator[Problem]:
    if values["deploy_endpoint"] is not None and values["endpoint_lease_hours"] is not None:
        sentence = _("The endpoint that you chose has its own time limit. Leave this empty.")
        yield Problem("not_offered", "endpoint_lease_hours", sentence)


def _machine(values: Values, terms: Terms) -> Iterator[Problem]:
    if not terms.why_not_tune and values["machine_type"] and values["machine_type"] not in terms.machines:
        sentence = _("This machine is not offered for the base model. Choose one from the list.")
        yield Problem("invalid_choice", "machine_type", sentence)


def _lease(values: Values, terms: Terms) -> Iterator[Problem]:
    hours = values["endpoint_lease_hours"]
    if hours is not None and not _is_whole(hours, LONGEST_LEASE):
        yield Problem("out_of_range", "endpoint_lease_hours", words.lease())


def _replicas(values: Values, terms: Terms) -> Iterator[Problem]:
    asked = {name: values[f"endpoint_{name}"] for name in ("min_replicas", "max_replicas")}
    for problem in endpoint_rules.find_problems(asked):
        yield replace(problem, field=f"endpoint_{problem.field}")


def _licence(values: Values, terms: Terms) -> Iterator[Problem]:
    if terms.licence and not values["accepts_licence"]:
        yield Problem("required", "accepts_licence", words.licence())


def _is_whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _is_whole_or_none(value: Any, least: int, most: int) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and least <= value <= most)


def _is_within(value: Any, most: float) -> bool:
    return value is None or 0 <= value <= most


def _bad_name(place: str, name: str) -> Iterator[Problem]:
    code, sentence = name_problem(name)
    if code:
        yield Problem(code, place, sentence)


def _bad_dataset(place: str, dataset: Dataset, terms: Terms) -> Iterator[Problem]:
    """Data of others is refused like data that is not there."""
    if dataset.owner_id != terms.owner_id:
        yield Problem("invalid_choice", place, words.dataset())
    elif reason := dataset_policies.why_not_tune_with(dataset):
        yield Problem("not_usable", place, reason)
    elif terms.facts and (
        reason := dataset_policies.why_too_long(dataset, terms.facts.max_sequence_tokens, terms.model_title)
    ):
        yield Problem("too_long", place, reason)
    elif reason := dataset_policies.why_not_teach_tools(
        dataset, terms.base_model, terms.model_title, learns=terms.learns_tools
    ):
        yield Problem("no_tools", place, reason)
    elif terms.base_model and (
        reason := dataset_policies.why_not_show_images(dataset, terms.model_title, learns=terms.learns_from_images)
    ):
        yield Problem("no_images", place, reason)


def _rule(find: Callable[[Values, Terms], Iterable[Problem]], *needs: str) -> Rule:
    return Rule(frozenset(needs), find)


RULES = (
    _rule(_name, "display_name"),
    _rule(_description, "description"),
    _rule(_labels, "labels"),
    _rule(_base_model, "base_model", "custom_base_model"),
    _rule(_location, "location"),
    _rule(_output, "output_uri"),
    _rule(_dataset, "dataset"),
    _rule(_validation_dataset, "validation_dataset"),
    _rule(_pair, "dataset", "validation_dataset"),
    _rule(_epochs, "epochs"),
    _rule(_learning_rate, "learning_rate"),
    _rule(_tuning_mode, "tuning_mode"),
    _rule(_adapter_size, "tuning_mode", "adapter_size"),
    _rule(_batch_size, "batch_size"),
    _rule(container.find_machine_problems, "tuning_mode", "training_machine", "quantization"),
    _rule(container.find_quantization_problems, "training_machine", "quantization"),
    _rule(container.find_region_problems, "training_machine", "location"),
    _rule(container.find_checkpoint_problems, "training_machine", "export_last_checkpoint_only"),
    _rule(_advanced, "training_machine", *ADVANCED),
    _rule(_warmup_ratio, "warmup_ratio"),
    _rule(_schedule, "lr_scheduler_type"),
    _rule(_weight_decay, "weight_decay"),
    _rule(_seed, "seed"),
    _rule(_max_seq_length, "max_seq_length"),
    _rule(_endpoint_name, "auto_deploy", "endpoint_display_name", "deploy_endpoint"),
    _rule(_deploy_endpoint, "deploy_endpoint"),
    _rule(_region_of_endpoint, "deploy_endpoint", "location"),
    _rule(_endpoint_options, "endpoint_options", "deploy_endpoint", "machine_type"),
    _rule(_endpoint_share, "endpoint_share"),
    _rule(_lease_of_endpoint, "deploy_endpoint", "endpoint_lease_hours"),
    _rule(_machine, "machine_type"),
    _rule(_lease, "endpoint_lease_hours"),
    _rule(_replicas, "endpoint_min_replicas", "endpoint_max_replicas"),
    _rule(_licence, "accepts_licence"),
)
