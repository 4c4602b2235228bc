"""A file on its way to a dataset."""

import time
from collections.abc import Callable
from uuid import UUID

from console.forms.datasets import UploadForm
from console.web.http import ConsoleRequest
from jobs import errors, live
from jobs.models import Dataset
from jobs.services.datasets.images import uploads

SECONDS_BETWEEN = 0.3


def save_upload(request: ConsoleRequest, form: UploadForm) -> Dataset | None:
    """The dataset, or None with the reason in the form. A file with bad rows is kept: its page reports them."""
    if not form.is_valid():
        return None
    file = form.cleaned_data["file"]
    told = report_reading(request.user.pk, form.cleaned_data["reading"])
    try:
        dataset, is_known = uploads.create(request.user, file, file.name, form.cleaned_data["name"], told)
        form.known = dataset if is_known else None
        return dataset
    except errors.DatasetRejected as error:
        form.add_error("file", str(error))
        return None


def report_reading(user_id: int, reading: UUID | None) -> Callable[[int], None] | None:
    """Tells the page that waits how many rows were read, three times a second."""
    if reading is None:
        return None
    last = time.monotonic()

    def tell(rows: int) -> None:
        nonlocal last
        if time.monotonic() - last > SECONDS_BETWEEN:
            last = time.monotonic()
            live.tell(user_id, f"reading-{reading}", str(rows))

    return tell
