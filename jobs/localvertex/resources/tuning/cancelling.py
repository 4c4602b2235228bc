"""Cancelling a job of either kind: the call answers at once, the job ends a moment later."""

from google.cloud.aiplatform_v1beta1.types import CustomJob, TuningJob
from google.protobuf import empty_pb2

from jobs.localvertex.api.errors import precondition
from jobs.localvertex.resources.call import Call, now
from jobs.localvertex.tuning.queue import CANCELLED, CANCELLING, FAILED, SUCCEEDED


def cancel(call: Call, kind: type[TuningJob] | type[CustomJob], name: str) -> empty_pb2.Empty:
    with call.parts.store.edit(kind, name) as job:
        if job.state in (SUCCEEDED, FAILED):
            raise precondition(f"{name} has ended already ({job.state.name}) and cannot be cancelled.")
        if job.state in (CANCELLING, CANCELLED):
            return empty_pb2.Empty()
        job.state, job.update_time = CANCELLING, now()
    call.parts.runner.cancel(name)
    return empty_pb2.Empty()
