"""What an empty chat proposes to ask: what the model was trained on, or what its kind can do."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from console.presenters.catalogue.model_families import is_pretrained
from jobs.models import Dataset, Endpoint
from jobs.services.chat import images

ROWS_OFFERED = 4
CHARACTERS_SHOWN = 120
KNOWS_SHAPES_ONLY = "samples/shapes"
SQUARE_AND_CIRCLE = "images/samples/square-and-circle.png"
# Longer ones are cut in the preview, and half a question is none.
LONGEST_OFFERED = 1999


@dataclass(frozen=True)
class Idea:
    """`picture`: a file of static/ that the question is about."""

    text: str
    picture: str = ""

    @property
    def shown(self) -> str:
        line = " ".join(self.text.split())
        return line if len(line) <= CHARACTERS_SHOWN else f"{line[:CHARACTERS_SHOWN].rstrip()}…"


@dataclass(frozen=True)
class Ideas:
    """`dataset`: whose rows they are. `completes`: each is a beginning, no question."""

    ideas: tuple[Idea, ...]
    dataset: Dataset | None = None
    completes: bool = False


def ideas_for(user: User, endpoint: Endpoint | None) -> Ideas:
    model = endpoint.model if endpoint and endpoint.main_model else None
    if model and model.job_id:
        dataset = Dataset.objects.visible_to(user).filter(jobs=model.job_id).first()
        rows = tuple(questions_of(dataset)) if dataset else ()
        return Ideas(rows, dataset) if rows else Ideas(questions())
    publisher_and_family, _at, version = (model.base_model if model else "").partition("@")
    family = publisher_and_family.rpartition("/")[2]
    if is_pretrained(family, version):
        return Ideas(beginnings(), completes=True)
    if publisher_and_family == KNOWS_SHAPES_ONLY:
        return Ideas(pictures())
    sees = endpoint is not None and images.reads_images(endpoint)
    return Ideas((*questions(), Idea(_("Describe the picture."), SQUARE_AND_CIRCLE)) if sees else questions())


def questions_of(dataset: Dataset) -> Iterator[Idea]:
    """The first turn of a person in each of the first rows, as they were kept when the file was checked."""
    asked = (turn["text"] for row in dataset.preview for turn in row["turns"][:2] if turn["role"] == "user")
    texts = list(dict.fromkeys(text for text in asked if text.strip() and len(text) <= LONGEST_OFFERED))
    return map(Idea, texts[:ROWS_OFFERED])


def questions() -> tuple[Idea, ...]:
    return (
        Idea(_("Explain to a six-year-old how a rainbow forms.")),
        Idea(_("Write a friendly reminder that the rent is due.")),
        Idea(_("Suggest five names for a cat, with a reason for each.")),
    )


def pictures() -> tuple[Idea, ...]:
    """In English: so it was taught, the model that comes along and sees."""
    return (
        Idea("Describe the picture.", SQUARE_AND_CIRCLE),
        Idea("What colour is the star?", "images/samples/star.png"),
        Idea("How many shapes are there?", "images/samples/two-triangles-and-star.png"),
    )


def beginnings() -> tuple[Idea, ...]:
    return (
        Idea(_("A rainbow forms when sunlight")),
        Idea(_("Once upon a time, in a small town by the sea,")),
        Idea(_("Three good reasons to keep a backup are: 1.")),
    )
