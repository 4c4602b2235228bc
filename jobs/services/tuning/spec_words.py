"""The sentences of the rules that forms say, too, about what cannot be read as a value at all."""

from django.utils.formats import number_format

from jobs.models import TuningMode
from jobs.models.endpoint import LONGEST_LEASE
from jobs.models.runs.settings import MOST_DECAY, MOST_SEED, MOST_WARMUP, SHORTEST_ROW
from jobs.services.catalogue.facts import TuningFacts
from jobs.text.deferred import gettext as _


def why_not_mode(mode: str, facts: TuningFacts, model_title: str) -> str:
    """Why the model cannot be tuned this way, or nothing."""
    if mode in facts.modes:
        return ""
    if facts.container and mode in facts.container.modes:
        return _(
            "Managed tuning offers only full fine-tuning of %(model)s. For a LoRA adapter, build the trainer's image "
            "and set VERTEX_TRAINER_IMAGE."
        ) % {"model": model_title}
    if mode == TuningMode.PEFT_ADAPTER:
        return _("%(model)s supports only full fine-tuning here. Choose full fine-tuning.") % {"model": model_title}
    return _("%(model)s supports only LoRA tuning here. Choose LoRA adapter.") % {"model": model_title}


def epochs(facts: TuningFacts) -> str:
    return _("Enter a whole number of epochs from 1 to %(most)d.") % {"most": facts.max_epochs}


def epochs_help(facts: TuningFacts) -> str:
    return _("How many times training goes through all rows, from 1 to %(most)d.") % {"most": facts.max_epochs}


def learning_rate_help(facts: TuningFacts) -> str:
    sentence = _("How much each training step changes the model. Above 0 and up to %(most)s, such as 0.0002.")
    return sentence % {"most": facts.max_learning_rate}


def learning_rate(facts: TuningFacts) -> str:
    return _("Enter a number above 0 and up to %(most)s, such as 0.0002.") % {"most": facts.max_learning_rate}


def multiplier(facts: TuningFacts) -> str:
    words = {"most": facts.max_learning_rate}
    return _("Enter a number above 0, such as 0.5 or 2. The product can't be above %(most)s.") % words


def batch_size(facts: TuningFacts) -> str:
    return _("Enter a whole number from 1 to %(most)d, or leave it empty.") % {"most": facts.max_batch_size}


def adapter_size(facts: TuningFacts) -> str:
    return _("Choose one of these sizes: %(sizes)s.") % {"sizes": ", ".join(map(str, facts.adapter_sizes))}


def description(most: int, length: int) -> str:
    return _("A description can have at most %(most)d characters. This one has %(length)d.") % {
        "most": most,
        "length": length,
    }


def no_start() -> str:
    return _("Choose one of the models that you have tuned, or a checkpoint.")


def licence() -> str:
    return _("Read and accept the terms. You can't tune the model without them.")


def no_output() -> str:
    return _("Enter a Cloud Storage folder, such as gs://my-bucket/support-bot.")


def no_dataset() -> str:
    return _("Choose a dataset, upload one, or use the sample.")


def tuning_mode() -> str:
    return _("Choose LoRA adapter or full fine-tuning.")


def dataset() -> str:
    return _("You no longer have this dataset. Choose another one.")


def lease() -> str:
    return _("Enter a whole number of hours from 1 to %(most)d, or leave it empty.") % {"most": LONGEST_LEASE}


def not_on_vertex() -> str:
    return _("Vertex AI's tuning takes no such setting. Leave it empty.")


def no_training_machine(model_title: str) -> str:
    sentence = _("Managed tuning offers no LoRA adapter of %(model)s. Choose a machine for the training.")
    return sentence % {"model": model_title}


def managed_machine() -> str:
    return _("Managed tuning chooses the machine by itself. Leave this empty.")


def training_machine() -> str:
    return _("Choose one of the machines in the list.")


def quantization() -> str:
    return _("Choose 16, 8 or 4 bits.")


def managed_quantization() -> str:
    return _("Managed tuning takes no such setting. Choose 16 bits.")


def no_global_container() -> str:
    return _("A training on a machine of your choice can't run in global. Choose a region.")


def every_checkpoint() -> str:
    return _("A training on a machine of your choice keeps every checkpoint. Turn this off.")


def warmup_ratio() -> str:
    return _("Enter a number from 0 to %(most)s, such as 0.1, or leave it empty.") % {"most": MOST_WARMUP}


def schedule() -> str:
    return _("Choose a constant, linear or cosine learning rate.")


def weight_decay() -> str:
    return _("Enter a number from 0 to %(most)d, such as 0.01, or leave it empty.") % {"most": MOST_DECAY}


def seed() -> str:
    return _("Enter a whole number from 0 to %(most)d, or leave it empty.") % {"most": MOST_SEED}


def max_seq_length(facts: TuningFacts) -> str:
    words = {"least": SHORTEST_ROW, "most": facts.max_sequence_tokens}
    return _("Enter a whole number of tokens from %(least)d to %(most)d, or leave it empty.") % words


def max_seq_length_help(facts: TuningFacts) -> str:
    sentence = _(
        "In tokens, %(most)s if empty. The end of a longer row is cut off; a row without any of its answer is left out."
    )
    return sentence % {"most": number_format(facts.max_sequence_tokens, force_grouping=True)}


def no_endpoint() -> str:
    return _("You no longer have this endpoint. Choose another endpoint, or a new one.")
