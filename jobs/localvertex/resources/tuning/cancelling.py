"""Cancelling a job of any kind: the call answers at once, the job ends a moment later."""

from collections.abc import Callable
from typing import TypeAlias

from google.cloud.aiplatform_v1beta1.types import BatchPredictionJob, CustomJob, TuningJob
from google.protobuf import empty_pb2

from jobs.localvertex.api.errors import precondition
from jobs.localvertex.resources.call import Call, now
from jobs.localvertex.tuning.queue import CANCELLED, CANCELLING, FAILED, SUCCEEDED

Kind: TypeAlias = type[TuningJob] | type[CustomJob] | type[BatchPredictionJob]


def cancel(call: Call, kind: Kind, name: str, stop: Callable[[str], None] | None = None) -> empty_pb2.Empty:
    """`stop` tells whoever works on it; the runner of trainings when it is not given."""
    with call.parts.store.edit(kind, name) as job:
        if job.state in (SUCCEEDED, FAILED):
            raise precondition(f"{name} has ended already ({job.state.name}) and cannot be cancelled.")
        if job.state in (CANCELLING, CANCELLED):
            return empty_pb2.Empty()
        job.state, job.update_time = CANCELLING, now()
    (stop or call.parts.runner.cancel)(name)
    return empty_pb2.Empty()
