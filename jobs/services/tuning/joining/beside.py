"""The model of a tuning job is put on an endpoint that exists, beside the models that serve there.

What the endpoint became while the job ran is known only now: that it is gone or full is no failure of the job, which
then says what happened.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid5

from django.db import transaction

from jobs.errors import JobsError
from jobs.models import DeployedModel, TuningJob
from jobs.services.costs import spending
from jobs.services.endpoints import deployed_models, endpoints, policies
from jobs.services.endpoints.deployed_models import DeployedModelSpec
from jobs.services.endpoints.serving.spec import ServingOptions
from jobs.states import EndpointState, TuningState
from jobs.text.deferred import gettext as _

# An endpoint that is busy for longer is not waited for.
PATIENCE = timedelta(hours=1)


@dataclass(frozen=True)
class Joined:
    """`waits` and `problem` are sentences, at most one of them is there."""

    waits: str = ""
    problem: str = ""


def is_asked_for(job: TuningJob) -> bool:
    """By a job that has not got it yet, and knows no reason why it will not."""
    is_wanted = job.auto_deploy and job.joins_endpoint and not job.cancel_requested_at and not job.join_problem
    return job.state == TuningState.SUCCEEDED and is_wanted


def join(job: TuningJob, now: datetime) -> Joined:
    """At most one deployed model a job, however often this is called: its key follows from the job's."""
    if DeployedModel.objects.filter(job=job, automatic=True).exists():
        return Joined()
    endpoint = job.deploy_endpoint
    if endpoint is None or endpoint.state == EndpointState.DELETED:
        return _give_up(job, _("The endpoint was deleted."))
    if policies.is_busy(endpoint) and now - (job.ended_at or now) < PATIENCE:
        words = {"name": endpoint.display_name}
        return Joined(
            waits=_("The model is deployed on %(name)s as soon as the endpoint is done with a change.") % words
        )
    try:
        deployed_models.add(endpoint, key=uuid5(job.pk, "join"), spec=spec_of(job), automatic=True)
    except JobsError as error:
        return _give_up(job, str(error))
    return Joined()


def _give_up(job: TuningJob, reason: str) -> Joined:
    """Nothing is paid for it."""
    with transaction.atomic():
        spending.release(job.pk, spending.deployment_key(job.pk))
    return Joined(problem=reason)


def spec_of(job: TuningJob) -> DeployedModelSpec:
    return DeployedModelSpec(
        display_name=job.display_name,
        share=job.endpoint_share,
        job=job,
        machine=endpoints.find_machine(job.base_model, job.machine_type),
        min_replicas=job.endpoint_min_replicas,
        max_replicas=job.endpoint_max_replicas,
        accepts_licence=job.accepts_licence,
        options=ServingOptions.from_json(job.endpoint_options),
    )
