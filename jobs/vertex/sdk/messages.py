"""Small readings of Google's messages that several parts need."""

from enum import IntEnum
from typing import Any

from google.cloud.aiplatform_v1beta1 import types
from google.rpc import code_pb2

from jobs.vertex.values import RemoteError

from .outside_text import clean
from .refusals import explain


def raw(message: Any) -> Any:
    """The protobuf message inside: its enums are numbers, so that one newer than this client is no accident."""
    return type(message).pb(message)


def enum_name(kind: type[IntEnum], value: int) -> str:
    try:
        return kind(value).name
    except ValueError:
        return str(value)


def job_state(job: Any) -> str:
    """Of a tuning job or a custom job, such as RUNNING."""
    return enum_name(types.JobState, raw(job).state).removeprefix("JOB_STATE_")


def remote_error(status: Any) -> RemoteError | None:
    """From a google.rpc.Status, with the remedy; None where its code is OK, which an absent one looks like, too."""
    if not status.code:
        return None
    code = code_pb2.Code.Name(status.code) if status.code in code_pb2.Code.values() else str(status.code)
    return RemoteError(code, explain(clean(status.message), code))
