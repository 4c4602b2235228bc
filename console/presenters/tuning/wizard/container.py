"""What the training step says of trainings in a container of the project's own."""

from django.utils.translation import gettext as _

from console.forms.fields import StepForm
from jobs.models import TuningMode
from jobs.services.catalogue import training_machines
from jobs.services.catalogue.facts import TuningFacts
from jobs.services.catalogue.training_machines import TrainingMachine
from jobs.services.costs import machine_prices
from jobs.services.tuning.container.request import build_commands
from jobs.services.tuning.spec_terms import Terms


def machines_with_prices(terms: Terms, region: str) -> dict[str, str]:
    """By type; none where there is no image, or no mode that needs one."""
    facts = terms.facts
    if facts is None or facts.container is None or not terms.has_container:
        return {}
    return {name: _title(facts, machine, region) for name, machine in training_machines.list_machines().items()}


def machine_in_form(form: StepForm, terms: Terms) -> str:
    """As it stands there, right or wrong; nothing beside full fine-tuning."""
    if str(form["tuning_mode"].value()) != TuningMode.PEFT_ADAPTER or not terms.has_container:
        return ""
    machine = str(form["training_machine"].value() or "")
    return machine if machine in training_machines.list_machines() else ""


def setup_commands(terms: Terms) -> str:
    """To make what is missing for a mode of this base model; nothing where nothing is."""
    facts = terms.facts
    if facts is None or facts.container is None or set(facts.container.modes) <= set(facts.modes):
        return ""
    return build_commands()


def _title(facts: TuningFacts, machine: TrainingMachine, region: str) -> str:
    words = {
        "machine": machine.machine_type,
        "gpu": machine.accelerator,
        "memory": machine.gpu_gigabytes,
        "price": _price(machine.machine_type, region),
        "fits": _fits(facts, machine),
    }
    return _("%(machine)s · 1 × %(gpu)s, %(memory)d GB · %(price)s · %(fits)s") % words


def _price(machine_type: str, region: str) -> str:
    price = machine_prices.price(machine_type, region)
    return _("about $%s per hour") % f"{price.usd_per_hour:.2f}" if price else _("price unknown")


def _fits(facts: TuningFacts, machine: TrainingMachine) -> str:
    """With how many bits, at the most."""
    assert facts.container is not None
    for quantization, bits in (("", 16), ("8bit", 8), ("4bit", 4)):
        if not training_machines.why_not_fit(facts.container, machine, quantization):
            return _("fits in %(bits)d bits") % {"bits": bits}
    return _("too small for this model")
