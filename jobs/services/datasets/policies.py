"""What may be done with a dataset now. Each answer is a sentence, or nothing when it may be done; `check_can_x` raises
it.

Whose a dataset is, is no question here: what a person may not see is not found.
"""

from collections.abc import Sequence

from django.conf import settings
from django.db.models import Q

from jobs.errors import refuse_for
from jobs.models import Dataset, DatasetPart, TuningJob
from jobs.text.deferred import gettext as _, join, ngettext

from . import row_limits, spec

LARGEST_VALIDATION_SHARE = 0.25
LARGEST_VALIDATION_ROWS = 5000
MAX_VERSIONS_BACK = 50
MOST_ROWS_LOOKED_THROUGH = 300_000


def why_not_tune_with(dataset: Dataset) -> str:
    if dataset.is_usable:
        return ""
    words = {"name": dataset.name}
    return (
        _("“%(name)s” has rows with problems. Correct them or leave them out on its page, or choose another one.")
        % words
    )


def why_too_long(dataset: Dataset, tokens: int, model_title: str) -> str:
    """Why nothing of it could be learnt by a model that takes rows of so many tokens."""
    if not row_limits.no_row_fits(dataset, tokens):
        return ""
    return join(row_limits.long_rows(dataset, tokens, model_title), row_limits.remedy())


def why_not_teach_tools(dataset: Dataset, base_model: str, model_title: str, *, learns: bool | None) -> str:
    """A training would refuse them. `learns`: whether the chat template of the base model has a place for tools. Of a
    model that tells nothing, it is known once the server that trains has counted the rows."""
    is_known = learns is False and dataset.stats.get("tool_rows")
    if not is_known and not dataset.has_unknown_tools(base_model):
        return ""
    words = {"model": model_title or base_model}
    return (
        _(
            "The rows of this dataset call tools, and the chat template of %(model)s has no place for tools. Choose a"
            " base model whose template has one, or a dataset without tools."
        )
        % words
    )


def why_not_show_images(dataset: Dataset, model_title: str, *, learns: bool) -> str:
    """`learns`: whether the base model learns from images."""
    if learns or not dataset.image_count:
        return ""
    words = {"model": model_title}
    return (
        _(
            "The rows of this dataset have images, and %(model)s learns from text only. Choose a base model that learns"
            " from text and images, or a dataset without images."
        )
        % words
    )


def why_not_validate_with(train: Dataset, validation: Dataset) -> str:
    """Why Vertex AI would refuse the pair."""
    if train.pk == validation.pk:
        return _("Choose another dataset for validation. The model sees these rows in training.")
    if validation.valid_rows > LARGEST_VALIDATION_ROWS:
        words = {"most": LARGEST_VALIDATION_ROWS, "rows": validation.valid_rows}
        return _("A validation dataset can have at most %(most)d rows. This one has %(rows)d.") % words
    if validation.byte_size > train.byte_size * LARGEST_VALIDATION_SHARE:
        words = {"share": round(100 * validation.byte_size / train.byte_size) if train.byte_size else 100}
        return (
            _(
                "A validation dataset can have at most 25%% of the bytes of the training data. This one has "
                "%(share)d%%. Use fewer rows. A tenth of the data is typical."
            )
            % words
        )
    return ""


def find_other_part(dataset: Dataset) -> tuple[str, Dataset | None]:
    """Which part of a split it is, if of any, and the other one. A version that was made of a part stays that part, and
    belongs to the newest version of the other."""
    one = dataset
    for _version in range(MAX_VERSIONS_BACK):
        if one.part or one.made_from is None or one.made_from.family != dataset.family:
            break
        one = one.made_from
    other = one.sibling
    if other is None or one is dataset:
        return one.part, other
    return one.part, Dataset.objects.filter(family=other.family, is_latest=True).first() or other


def split_pair(dataset: Dataset) -> tuple[Dataset, Dataset | None]:
    """What to train on and what to validate with, for somebody who begins at this dataset: the other part of a split
    comes along, where the two can be used together."""
    part, other = find_other_part(dataset)
    if other is None:
        return dataset, None
    train, validation = (other, dataset) if part == DatasetPart.VALIDATION else (dataset, other)
    fits = train.is_usable and validation.is_usable and not why_not_validate_with(train, validation)
    return (train, validation) if fits else (dataset, None)


def jobs_using(dataset: Dataset) -> list[TuningJob]:
    """The newest first."""
    return list(TuningJob.objects.filter(Q(dataset=dataset) | Q(validation_dataset=dataset)).rows())


def why_not_delete(dataset: Dataset, jobs: Sequence[TuningJob] | None = None) -> str:
    """`jobs`: those that use it, where they are known already."""
    jobs = jobs_using(dataset) if jobs is None else jobs
    if not jobs:
        return ""
    words = {"job": jobs[0].display_name, "others": len(jobs) - 1}
    if len(jobs) == 1:
        return _("The tuning job %(job)s uses this dataset, so you can't delete it.") % words
    return (
        ngettext(
            "The tuning job %(job)s and %(others)d other use this dataset, so you can't delete it.",
            "The tuning job %(job)s and %(others)d others use this dataset, so you can't delete it.",
            len(jobs) - 1,
        )
        % words
    )


def check_can_delete(dataset: Dataset) -> None:
    refuse_for(why_not_delete(dataset))


def why_not_split(dataset: Dataset) -> str:
    if not dataset.is_usable:
        return _("Only a dataset without problems can be split.")
    if find_other_part(dataset)[0]:
        return _("This dataset is part of a split. Split the dataset that it was created from.")
    return _why_too_large(dataset, _("Split the file where it lies, and add both parts from Cloud Storage."))


def check_can_split(dataset: Dataset) -> None:
    refuse_for(why_not_split(dataset))


def why_not_edit_rows(dataset: Dataset) -> str:
    return _("Convert this dataset first. Then you can edit its rows.") if dataset.shape else ""


def check_can_edit_rows(dataset: Dataset) -> None:
    refuse_for(why_not_edit_rows(dataset))


def why_not_leave_out(dataset: Dataset, pending: int) -> str:
    """`pending`: how many rows of it have changes that are not saved."""
    if pending:
        return _("You have unsaved changes to the rows. Save them as a new version or discard them first.")
    return why_not_edit_rows(dataset)


def check_can_leave_out(dataset: Dataset, pending: int) -> None:
    refuse_for(why_not_leave_out(dataset, pending))


def why_not_leave_out_bad_rows(dataset: Dataset, pending: int) -> str:
    if not dataset.invalid_rows:
        return _("All rows of this dataset can be used.")
    if not dataset.valid_rows and not dataset.shape:
        return _("None of the rows can be used, so no row would be left.")
    return why_not_leave_out(dataset, pending)


def check_can_leave_out_bad_rows(dataset: Dataset, pending: int) -> None:
    refuse_for(why_not_leave_out_bad_rows(dataset, pending))


def why_not_look_through(dataset: Dataset) -> str:
    """For duplicates, or for what differs from another version."""
    if dataset.row_count > MOST_ROWS_LOOKED_THROUGH:
        words = {"most": MOST_ROWS_LOOKED_THROUGH}
        return _("Only datasets with at most %(most)d rows can be looked through row by row.") % words
    return why_not_edit_rows(dataset)


def check_can_look_through(dataset: Dataset) -> None:
    refuse_for(why_not_look_through(dataset))


def why_not_convert(dataset: Dataset) -> str:
    if not dataset.shape:
        return _("This dataset doesn't need conversion.")
    return _why_too_large(dataset, _("Convert the file where it lies, and add it from Cloud Storage again."))


def _why_too_large(dataset: Dataset, remedy: str) -> str:
    """For what a person waits for: as large as an upload may be."""
    if dataset.byte_size <= settings.DATASET_MAX_BYTES:
        return ""
    words = {"limit": settings.DATASET_MAX_BYTES // spec.MEGABYTE}
    return join(_("Datasets of more than %(limit)d MB can't be split or converted here.") % words, remedy)


def check_can_convert(dataset: Dataset) -> None:
    refuse_for(why_not_convert(dataset))


def add_again(dataset: Dataset) -> str:
    """How its file comes to the console once more: from where it came."""
    if dataset.source_uri:
        return _("Read %s again under “From Cloud Storage” on the Datasets page.") % dataset.source_uri
    return _("Upload the file again.")
