"""Every page of the console in each of its states: what tests/e2e/test_pages.py and `make bench-pages` open.

`{name}` stands for an id that tests/e2e/seed.py printed. What only a person's acts lead to (dialogs, panels that are
filled in, answers that stream) has tests of its own beside these.
"""

from dataclasses import dataclass, field

JOB, ENDPOINT = "/tuning/jobs/{%s}/", "/endpoints/{endpoint-%s}/"
IMPORT = "/datasets/imports/{import-%s}/"
MODEL_IMPORT = "/model-garden/imports/{model-import-%s}/"
DATASET, CHAT = "/datasets/{dataset-%s}/", "/studio/chat/{chat-%s}/"
GARDEN, DRAFT = "/model-garden/", "/tuning/drafts/{draft}/"
MODEL = "/publishers/google/model-garden/gemma3/"
TABS = (
    "",
    "connection",
    "defaults",
    "notifications",
    "appearance",
    "security",
    "keys",
    "storage",
    "spending",
    "audit",
    "about",
    "about/operations",
)
ALL_JOBS, CHATS = "/tuning/", "/studio/chat/chats/"


@dataclass(frozen=True)
class Shown:
    """A page: its usual address, and those where it has nothing to show, waits for something or tells of a failure."""

    name: str
    happy: str
    empty: str = ""
    waiting: str = ""
    failed: str = ""
    chart: bool = False
    more: tuple[str, ...] = field(default=())


PAGES = (
    Shown("dashboard", "/", empty="/"),
    Shown("model-garden", GARDEN, empty=f"{GARDEN}?q=zzz", more=(f"{GARDEN}?q=gemma&task=vision",)),
    Shown("model", MODEL, more=(f"{MODEL}?action=deploy", f"{MODEL}?action=code")),
    Shown(
        "tuning", ALL_JOBS, empty=ALL_JOBS, failed=f"{ALL_JOBS}?filter=status:nonsense", more=(f"{ALL_JOBS}?filter=x",)
    ),
    Shown("drafts", "/tuning/drafts/", empty="/tuning/drafts/"),
    Shown("import", "/tuning/import/"),
    Shown("compare", "/tuning/compare/?job={Tuned}&job={Other}", empty="/tuning/compare/", chart=True),
    Shown("sweep", "/tuning/sweeps/{sweep}/", chart=True),
    Shown("cancel", "/tuning/cancel/?job={Running}", empty="/tuning/cancel/"),
    Shown("remove", "/tuning/remove/?job={Tuned}&job={Running}", empty="/tuning/remove/"),
    Shown("take", JOB % "Tuned" + "download/", empty=JOB % "Other" + "download/"),
    Shown("step-name", f"{DRAFT}name/"),
    Shown("step-base-model", f"{DRAFT}base-model/"),
    Shown("step-output", f"{DRAFT}output/"),
    Shown("step-training", f"{DRAFT}training/"),
    Shown("step-deployment", f"{DRAFT}deployment/"),
    Shown("job", JOB % "Running", "", JOB % "Waiting 0", JOB % "Failed", chart=True, more=(JOB % "Tuned",)),
    Shown("job-dataset", JOB % "Running" + "dataset/"),
    Shown("job-logs", JOB % "Running" + "logs/", JOB % "Waiting 0" + "logs/", failed=JOB % "Failed" + "logs/"),
    Shown("job-details", JOB % "Running" + "details/"),
    Shown("models", "/models/", empty="/models/", more=("/models/?q=zzz",)),
    Shown("tuned-model", "/models/{Tuned}/"),
    Shown("endpoints", "/endpoints/", empty="/endpoints/", more=("/endpoints/?q=zzz",)),
    Shown("endpoint", ENDPOINT % "ready", ENDPOINT % "undeployed", ENDPOINT % "deploying", ENDPOINT % "failed"),
    Shown("endpoint-add-model", ENDPOINT % "ready" + "models/add/"),
    Shown("found", "/elsewhere/", empty="/elsewhere/", more=("/elsewhere/?kind=custom-jobs", "/elsewhere/?q=zzz")),
    Shown("found-endpoint", "/elsewhere/{found-endpoint}/", more=("/elsewhere/{found-model}/",)),
    Shown("browse", "/storage/browse/?into=defaults", more=("/storage/browse/?into=weights&uri=gs://nowhere-at-all",)),
    Shown("datasets", "/datasets/", empty="/datasets/", more=("/datasets/?q=zzz",)),
    Shown("model-import", "/model-garden/import/"),
    Shown(
        "model-import-detail",
        MODEL_IMPORT % "found",
        waiting=MODEL_IMPORT % "waiting",
        failed=MODEL_IMPORT % "failed",
        more=(MODEL_IMPORT % "removed",),
    ),
    Shown("model-remove", "/publishers/google/model-garden/gemma3/remove/"),
    Shown("dataset-import", IMPORT % "waiting", waiting=IMPORT % "waiting", failed=IMPORT % "failed"),
    Shown("dataset", DATASET % "questions", waiting=DATASET % "table", failed=DATASET % "problems"),
    Shown("dataset-rows", DATASET % "questions" + "rows/", empty=DATASET % "questions" + "rows/?q=zzz"),
    Shown("dataset-row-edit", DATASET % "questions" + "rows/1/edit/"),
    Shown("dataset-edits", DATASET % "questions" + "edits/", empty=DATASET % "questions" + "edits/"),
    Shown("dataset-duplicates", DATASET % "questions" + "duplicates/"),
    Shown("dataset-versions", DATASET % "questions" + "versions/"),
    Shown("chat", CHAT % "answered", "/studio/chat/", CHAT % "busy", CHAT % "failed"),
    Shown("chats", CHATS, empty=CHATS, more=(f"{CHATS}?q=zzz",)),
    Shown("chats-delete", f"{CHATS}delete/?chat={{chat-answered}}&chat={{chat-failed}}", empty=f"{CHATS}delete/"),
    Shown("chats-dataset", f"{CHATS}dataset/?chat={{chat-answered}}", empty=f"{CHATS}dataset/"),
    Shown("chat-links", "/studio/chat/links/", empty="/studio/chat/links/"),
    Shown("compare-models", "/studio/compare/", empty="/studio/compare/"),
    Shown("notifications", "/notifications/", empty="/notifications/"),
    Shown("search", "/search/?q=e", empty="/search/?q=zzz"),
    *(Shown(f"settings-{tab.replace('/', '-') or 'status'}", f"/settings/{tab and f'{tab}/'}") for tab in TABS),
    Shown("settings-storage-remove", "/settings/storage/{shared}/remove/"),
    Shown("not-found", "/nothing-here/"),
)


def addresses(state: str, ids: dict[str, str]) -> list[tuple[str, str]]:
    """(name, address) of every page in this state. Empty pages need no ids: a new console has nothing else."""
    found = [(page.name, str(getattr(page, state))) for page in PAGES if getattr(page, state)]
    if state == "happy":
        found += [(f"{page.name}-{number}", more) for page in PAGES for number, more in enumerate(page.more, 1)]
    return [(name, filled(address, ids)) for name, address in found if ids or "{" not in address]


def filled(address: str, ids: dict[str, str]) -> str:
    for name, pk in ids.items():
        address = address.replace(f"{{{name}}}", pk)
    return address
