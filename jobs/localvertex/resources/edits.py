"""What creates and patches of every kind check."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from jobs.localvertex.api.errors import ApiError, invalid
from jobs.localvertex.api.wire import raw, snake
from jobs.localvertex.resources.call import Call

_LABEL_KEY = re.compile(r"^[a-z][a-z0-9_-]{0,62}$")
_LABEL_VALUE = re.compile(r"^[a-z0-9_-]{0,63}$")
_ENDPOINT_ID = re.compile(r"^(?:[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?|[0-9]{1,10})$")
_MODEL_ID = re.compile(r"^[a-z_][a-z0-9_-]{0,62}$")
MAX_LABELS = 64
LONGEST_DISPLAY_NAME = 128
PRIVATE = "private_service_connect_config"


def check_labels(labels: Mapping[str, str], field: str = "labels") -> None:
    if len(labels) > MAX_LABELS:
        raise invalid(f"At most {MAX_LABELS} labels are allowed.", field)
    for key, value in labels.items():
        if not _LABEL_KEY.match(key) or not _LABEL_VALUE.match(value):
            raise invalid(
                f"Label {key!r}: {value!r} is invalid: lower-case letters, digits, _ and - only, at most 63 of them,"
                " and the key starts with a letter.",
                field,
            )


def check_display_name(text: str, field: str, *, required: bool = True) -> None:
    if required and not text:
        raise invalid(f"The {field} field is required.", field)
    if len(text) > LONGEST_DISPLAY_NAME:
        raise invalid(f"{field} must have at most {LONGEST_DISPLAY_NAME} characters.", field)


def check_endpoint_id(text: str, field: str) -> None:
    if not _ENDPOINT_ID.match(text):
        name = field.rpartition(".")[2]
        message = (
            f"{name} must start with a letter, have at most 63 characters of [a-z0-9-] and not end with -,"
            " or have at most 10 digits."
        )
        raise invalid(message, field)


def check_model_id(text: str, field: str) -> None:
    if not _MODEL_ID.match(text):
        name = field.rpartition(".")[2]
        raise invalid(f"{name} must have at most 63 characters of [a-z0-9_-] and not start with a digit or -.", field)


def refuse_encryption(resource: Any, field: str) -> None:
    """What was asked to be encrypted must not be kept in the open without a word."""
    if resource.encryption_spec.kms_key_name:
        message = "Encryption keys are not supported by this server: nothing would be encrypted."
        raise invalid(message, f"{field}.kms_key_name")


def refuse_private(resource: Any, where: str, fields: Collection[str] = (PRIVATE,)) -> None:
    """A private endpoint would be answered like any other."""
    for field in fields:
        if field in resource and (field != PRIVATE or raw(getattr(resource, field)).ListFields()):
            message = f"Private endpoints are not supported by this server: leave out {field}."
            raise invalid(message, f"{where}{field}")


def check_etag(given: str, resource: Any) -> None:
    if given and given != resource.etag:
        raise ApiError(
            "ABORTED", f"{resource.name} was changed meanwhile: its etag is not {given} any more. Read it again."
        )


def has_mask(call: Call) -> bool:
    return any(key in ("updateMask", "update_mask") for key, _ in call.query)


def given_fields(resource: Any, allowed: Collection[str]) -> list[str]:
    """What a patch without a mask changes: every field that it holds and that can be changed."""
    return [name for name in allowed if name in resource]


def mask(call: Call, allowed: Collection[str]) -> list[str]:
    """The fields that a patch names by `updateMask`. Raises INVALID_ARGUMENT when it names none or another one."""
    text = ",".join(value for key, value in call.query if key in ("updateMask", "update_mask"))
    return check_mask([snake(path.strip()) for path in text.split(",") if path.strip()], allowed)


def copy_fields(given: Any, changed: Any, paths: Sequence[str]) -> None:
    """What a mask names, as a whole: maps and messages are replaced, and gone where there are none."""
    FieldMask(paths=paths).MergeMessage(raw(given), raw(changed), True, True)


def check_mask(paths: list[str], allowed: Collection[str]) -> list[str]:
    if not paths:
        raise invalid("The update_mask field is required.", "update_mask")
    for path in paths:
        if path not in allowed:
            message = f"{path!r} cannot be updated. What can: {', '.join(sorted(allowed))}."
            raise invalid(message, "update_mask")
    return paths


def check_split(split: Mapping[str, int], ids: Collection[str]) -> None:
    """`traffic_split`: deployed models of this endpoint only, 100 in all."""
    for id_, share in split.items():
        if id_ not in ids:
            raise invalid(f"traffic_split names the DeployedModel {id_!r}, which is not there.", "traffic_split")
        if not 0 <= share <= 100:
            raise invalid(f"traffic_split: the share of {id_} must be between 0 and 100.", "traffic_split")
    if split and sum(split.values()) != 100:
        message = f"The shares of traffic_split must add up to 100, not to {sum(split.values())}."
        raise invalid(message, "traffic_split")
