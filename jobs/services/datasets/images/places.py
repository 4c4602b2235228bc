"""Where an image of a dataset is kept, and the address by which rows name it. It is called by the SHA-256 of its
content, so that versions, parts of a split and a second upload have one file in common.

By the number of its owner: an address tells by itself whose it is.
"""

import re

from django.conf import settings

from jobs.services.storage.policies import images_folder

FOLDER = "dataset-images"
_FOLDER = re.compile(r"(gs://[^/]+)/datasets/users/\d+/images")
_FILE = re.compile(r"[0-9a-f]{64}\.(?:png|jpg)")
ENDINGS = {"image/png": "png", "image/jpeg": "jpg"}
TYPES = {ending: kind for kind, ending in ENDINGS.items()}


def stored_name(owner_id: int, file: str) -> str:
    return f"{FOLDER}/{owner_id}/{file}"


def address(owner_id: int, file: str) -> str:
    """In the bucket for datasets; nothing where there is none."""
    folder = images_folder(owner_id)
    return f"{folder}/{file}" if folder else ""


def own_file(owner_id: int, uri: str) -> str:
    """The file that an address of this person's images names, or nothing."""
    folder, _slash, file = uri.rpartition("/")
    return file if folder and folder == images_folder(owner_id) and is_file(file) else ""


def file_of(uri: str) -> str:
    """As `own_file`, whosever it is: for who asks afterwards whether it may be read."""
    folder, _slash, file = uri.rpartition("/")
    found = _FOLDER.fullmatch(folder)
    return file if found and found[1] == settings.VERTEX_BUCKET and is_file(file) else ""


def is_file(file: str) -> bool:
    return _FILE.fullmatch(file) is not None


def type_of(file: str) -> str:
    return TYPES[file.rpartition(".")[2]]
