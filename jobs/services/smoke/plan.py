"""What a smoke run asks for."""

from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from tempfile import TemporaryFile

from django.contrib.auth.models import User

from jobs.models import Dataset, PublisherModel, TuningMode
from jobs.services.catalogue import facts as model_facts
from jobs.services.costs import machine_prices
from jobs.services.datasets import datasets
from jobs.services.tuning.spec import TuningSpec

RUN_LABEL = "vertex-smoke"
ROWS = 30
LEASE_HOURS = 1  # a second guard: the worker of a console that runs undeploys it, too


class Stopped(Exception):
    """`str` says why the run did not go on."""


@dataclass(frozen=True)
class Plan:
    """The prices are for what the console's tables don't have."""

    base_model: str
    output_uri: str
    cap_usd: Decimal
    machine_type: str = ""
    usd_per_hour: Decimal | None = None
    training_usd: Decimal | None = None
    accepts_terms: bool = False


def make_spec(owner: User, plan: Plan, machine_type: str) -> TuningSpec:
    facts = model_facts.tuning_facts(plan.base_model)
    if facts is None:
        raise Stopped(f"Managed tuning doesn't offer {plan.base_model}.")
    mode = TuningMode.FULL if TuningMode.FULL in facts.modes else TuningMode.PEFT_ADAPTER
    return TuningSpec(
        display_name="Smoke test",
        base_model=plan.base_model,
        output_uri=plan.output_uri,
        dataset=_add_rows(owner),
        epochs=1,
        learning_rate=1e-05,
        tuning_mode=mode,
        adapter_size=facts.adapter_sizes[0] if mode == TuningMode.PEFT_ADAPTER else None,
        accepts_licence=plan.accepts_terms,
        auto_deploy=True,
        endpoint_display_name="Smoke test",
        endpoint_lease_hours=LEASE_HOURS,
        machine_type=machine_type,
        labels={RUN_LABEL: "true"},
    )


def find_cheapest(model: PublisherModel) -> str:
    known = [
        (price.usd_per_hour, machine["machine_type"])
        for machine in model.data.get("machine_specs", ())
        if (price := machine_prices.price(machine["machine_type"]))
    ]
    if not known:
        raise Stopped(f"No machine of {model.name} has a known price. Pass --machine-type and --usd-per-hour.")
    return str(min(known)[1])


def _add_rows(owner: User) -> Dataset:
    """The first rows of the sample that ships with the console."""
    with (datasets.SAMPLES / "ahoy-train.jsonl").open("rb") as sample, TemporaryFile() as file:
        file.writelines(islice(sample, ROWS))
        file.seek(0)
        return datasets.create(owner, file=file, file_name="smoke-test.jsonl", name="Smoke test")
