"""Where the file of a dataset or picture lies, for tests that use the folder."""

from pathlib import Path

from django.conf import settings

from jobs.models import Dataset, Picture


def path_of(kept: Dataset | Picture) -> Path:
    return Path(settings.DATA_DIR) / kept.stored_name
