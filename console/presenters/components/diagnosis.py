"""The words for what went wrong, shared by the pages of jobs and of endpoints."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy as _

from jobs.models import PublisherModel
from jobs.services.diagnosis.causes import Cause, Diagnosis, Fact, FactName

Words = str | Promise
# As the templates cut it.
REASON_SHOWN = 300
LABELS: Mapping[FactName, Words] = {
    FactName.CODE: _("Code"),
    FactName.LOG_LINE: _("Line of the log"),
    FactName.ROWS: _("Lines of the dataset"),
    FactName.QUOTA: _("Quota"),
    FactName.COMMAND: _("Command to run"),
    FactName.FOLDER: _("Folder"),
    FactName.MACHINE: _("Machine"),
    FactName.REGION: _("Region"),
    FactName.MEMORY: _("Memory"),
    FactName.BATCH_SIZE: _("Batch size"),
    FactName.LEARNING_RATE: _("Learning rate"),
    FactName.LOSS_BEST: _("Lowest training loss"),
    FactName.LOSS_LAST: _("Last training loss"),
    FactName.LOSS_STEP: _("Astray since step"),
    FactName.SILENT_SECONDS: _("Time since the last step"),
    FactName.CHECKPOINT: _("Newest checkpoint"),
    FactName.STAGE: _("Last stage"),
    FactName.WAITED_SECONDS: _("Time since the request"),
}
SECONDS = frozenset({FactName.SILENT_SECONDS, FactName.WAITED_SECONDS})
LITERAL = frozenset({FactName.CODE, FactName.LOG_LINE, FactName.QUOTA, FactName.COMMAND, FactName.FOLDER})
LOSSES = frozenset({FactName.LOSS_BEST, FactName.LOSS_LAST})
# What happened, and what it means for the next try.
CAUSES: Mapping[Cause, tuple[Words, Words]] = {
    Cause.DATA: (_("Rows of the dataset can't be used"), _("The training stops at the first row that it can't use.")),
    Cause.VALIDATION_DATA: (
        _("The validation dataset was refused"),
        _("Without it, the job trains the same model but records no validation curves."),
    ),
    Cause.TERMS: (
        _("The terms of the model aren't accepted"),
        _("The model can be used once somebody accepts its terms for the project."),
    ),
    Cause.QUOTA: (
        _("A quota of the project is used up"),
        _("Wait until other work in the project ends, or ask Google for more quota. Then try again."),
    ),
    Cause.API_DISABLED: (
        _("An API of Google Cloud isn't enabled"),
        _("Enable it in the project. After that it can take some minutes until it works. Then try again."),
    ),
    Cause.BILLING: (
        _("Billing isn't enabled for the project"),
        _("Google refuses paid work until the project has a billing account. Link one, then try again."),
    ),
    Cause.QUOTA_PROJECT: (
        _("The credentials name no quota project"),
        _("Google counts API use for that project. Name one, then try again."),
    ),
    Cause.PERMISSION: (
        _("A permission is missing"),
        _("Ask an administrator of the project to grant the access. Then try again."),
    ),
    Cause.REGION: (
        _("The bucket is in another region"),
        _(
            "Vertex AI needs a bucket in the region that the job runs in. Train in the bucket's region, or use another"
            " bucket."
        ),
    ),
    Cause.OUTPUT: (_("The output directory can't be used"), _("Every job needs a folder that it can write to.")),
    Cause.STOCK_OUT: (
        _("The machine is out of stock"),
        _("This isn't a quota: Google has no free machine of this type here right now."),
    ),
    Cause.MEMORY: (
        _("The training ran out of memory"),
        _("A smaller batch needs less memory. Shorter rows and a smaller base model do, too."),
    ),
    Cause.DISK: (_("The disk is full"), _("Make room on the disk first. Then go on.")),
    Cause.DIVERGED: (
        _("The training diverged"),
        _("The loss rose far or isn't a number any more. A lower learning rate usually helps."),
    ),
    Cause.WORKER_GONE: (
        _("The process that did the work ended"),
        _("Nothing points to the settings, so the same settings can be tried again."),
    ),
    Cause.VANISHED: (_("It no longer exists in Vertex AI"), _("It was deleted outside this console.")),
    Cause.TAKEN: (
        _("The name is taken in Vertex AI"),
        _("Another resource in the project has the name that this console chose. The next try uses a different name."),
    ),
    Cause.START_GONE: (
        _("The model to continue from can't be read"),
        _("Its files are gone or can't be read. The training can begin from the base model instead."),
    ),
    Cause.WEIGHTS_GONE: (
        _("The model files aren't there"),
        _("The folder is empty or holds no model that can be served. Restore the files, then deploy again."),
    ),
    Cause.NEVER_READY: (
        _("The model never became ready"),
        _("The model server didn't answer in time. What is left of it is deleted before it is deployed again."),
    ),
    Cause.UNKNOWN: (_("The cause is unknown"), _("The reason below is all that was reported.")),
}
OF_ENDPOINT: Mapping[Cause, tuple[Words, Words]] = {
    Cause.MEMORY: (_("There is too little memory for the model"), _("A machine with more memory is needed.")),
}


@dataclass(frozen=True)
class ShownFact:
    """`seconds` for a length of time, else `value`; `is_literal`: as a machine wrote it."""

    label: Words
    value: str
    seconds: int | None = None
    is_literal: bool = False


@dataclass(frozen=True)
class ShownFix:
    """`text` says what it does, from where it begins and what it costs. `why_not`: why the button is dead. `goes_on`:
    it begins at a checkpoint."""

    fix: str
    label: str
    text: str
    why_not: str = ""
    goes_on: bool = False
    of: str = ""

    @property
    def dialog(self) -> str:
        """The id of its dialog, which names what it is `of` where a page has several that failed."""
        return f"fix-{self.of}-{self.fix}".replace(":", "-").replace("_", "-")


@dataclass(frozen=True)
class Link:
    label: Words
    url: str


@dataclass(frozen=True)
class ShownDiagnosis:
    """`see`: a page of the console where more can be seen or done."""

    diagnosis: Diagnosis
    title: Words
    text: Words
    facts: list[ShownFact]
    fixes: list[ShownFix] = field(default_factory=list)
    see: Link | None = None

    @property
    def is_known(self) -> bool:
        return self.diagnosis.cause != Cause.UNKNOWN

    @property
    def goes_on(self) -> bool:
        return any(fix.goes_on and not fix.why_not for fix in self.fixes)

    @property
    def is_long(self) -> bool:
        """The reason is shown folded, with only its beginning in sight."""
        return len(self.diagnosis.reason) > REASON_SHOWN


def show(
    found: Diagnosis, fixes: list[ShownFix], *, see: Link | None = None, is_endpoint: bool = False
) -> ShownDiagnosis:
    title, text = (OF_ENDPOINT if is_endpoint and found.cause in OF_ENDPOINT else CAUSES)[found.cause]
    return ShownDiagnosis(found, title, text, [_show_fact(fact) for fact in found.facts], fixes, see)


def _show_fact(fact: Fact) -> ShownFact:
    label = LABELS[fact.name]
    if fact.name in SECONDS:
        return ShownFact(label, "", int(fact.value))
    if fact.name in LOSSES:
        return ShownFact(label, fact.value if isinstance(fact.value, str) else f"{fact.value:.4f}")
    if fact.name == FactName.LEARNING_RATE:
        return ShownFact(label, f"{fact.value:g}")
    return ShownFact(label, str(fact.value), is_literal=fact.name in LITERAL)


def see_model(name: str) -> Link | None:
    """Its page, where its terms are. A model that was never in the catalogue has none."""
    model = PublisherModel.objects.filter(name=name).first()
    if model is None:
        return None
    return Link(_("Open the model's page"), reverse("model-detail", args=[model.publisher, model.family]))


def licence_words(name: str) -> str:
    model = PublisherModel.objects.filter(name=name).first()
    licence = model.data.get("licence", "") if model else ""
    if not licence:
        return gettext("You accept the terms of %(model)s for the whole project.") % {"model": name}
    return gettext("You accept the %(licence)s for the whole project.") % {"licence": licence}
