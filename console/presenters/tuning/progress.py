"""Where a tuning job stands, for the pages that show it: which phase it is in, and what can be done with it now."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.db.models import F
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs.models import DeployedModel, Endpoint, TuningJob
from jobs.services.tuned_models import checkpoints, continuation, policies
from jobs.services.tuned_models.continuation import Start
from jobs.services.tuning import observe, policies as tuning
from jobs.states import DeployedState, EndpointState, Phase, TuningState

DONE, CURRENT, AHEAD, STOPPED = "done", "current", "todo", "stopped"
ASKING = (Phase.AMBIGUOUS, Phase.NEEDS_DECISION)


@dataclass(frozen=True)
class Milestone:
    """`at`: when it began, None when that is not known or is still to come."""

    label: str | Promise
    state: str
    at: datetime | None


@dataclass(frozen=True)
class JobStand:
    """A job with the endpoints that serve it (the newest first), and the answers that its page needs. Some of them may
    serve an earlier checkpoint and not its model.

    `made` counts the endpoints that it ever had, deleted ones, too. `joined` is its model beside others on an endpoint,
    where the job asked for that.
    """

    job: TuningJob
    endpoints: list[Endpoint]
    made: int
    joined: DeployedModel | None = None

    @cached_property
    def endpoints_of_model(self) -> list[Endpoint]:
        return checkpoints.filter_serving_model(self.job, self.endpoints)

    @property
    def endpoint(self) -> Endpoint | None:
        """Of the model, the one to link to: a ready one before the newest."""
        ready = [endpoint for endpoint in self.endpoints_of_model if endpoint.state == EndpointState.READY]
        return next(iter(ready or self.endpoints_of_model), None)

    @property
    def is_ready(self) -> bool:
        return self.endpoint is not None and self.endpoint.state == EndpointState.READY

    @property
    def awaits_endpoint(self) -> bool:
        """A success with auto-deploy whose endpoint row is still to come, or whose endpoint is on its way."""
        if self.joined:
            return self.joined.is_transient
        return policies.awaits_endpoint(self.job, self.endpoints_of_model)

    @property
    def remedy(self) -> str:
        """The end of the error's sentence, which says what to do; empty when it cannot be told apart."""
        remedy = observe.remedy(self.job.error_code)
        return remedy if self.job.error_message.endswith(f". {remedy}") else ""

    @property
    def cause(self) -> str:
        return self.job.error_message.removesuffix(self.remedy).rstrip() if self.remedy else self.job.error_message

    @property
    def has_succeeded(self) -> bool:
        return self.job.is_tuned

    @property
    def is_final(self) -> bool:
        """A job that has ended has one more look to come, which finds its checkpoints. One of these may be on its way
        to an endpoint, too."""
        awaits = self.awaits_endpoint or any(endpoint.is_transient for endpoint in self.endpoints)
        return self.job.is_terminal and self.job.phase != Phase.BOUND and not awaits

    @property
    def is_unclear(self) -> bool:
        return not self.job.is_terminal and self.job.phase in ASKING

    @property
    def needs_decision(self) -> bool:
        return not tuning.why_not_decide(self.job)

    @property
    def why_not_cancel(self) -> str:
        return tuning.why_not_cancel(self.job)

    @property
    def what_cancelling_loses(self) -> str:
        return policies.what_cancelling_loses(self.job)

    @property
    def why_not_resume(self) -> str:
        return policies.why_not_resume(self.job)

    @property
    def resumes_from(self) -> Start | None:
        """The last checkpoint of a job that ended early, where a new job can go on from it."""
        return None if self.why_not_resume else continuation.start_of(self.job)

    @property
    def why_not_deploy(self) -> str:
        return policies.why_not_deploy(self.job, self.endpoints_of_model)

    @property
    def folder(self) -> str:
        return checkpoints.default_folder(self.job)

    def deploy_key(self, checkpoint: str = "") -> uuid.UUID:
        """The same until the job has one endpoint more, so that a second click deploys nothing twice."""
        return uuid.uuid5(self.job.pk, f"deploy {self.made} {checkpoint}".rstrip())

    @property
    def milestones(self) -> list[Milestone]:
        job, endpoint = self.job, self.endpoint
        served = self.joined or endpoint
        saved = self.is_saving or self.has_succeeded
        phases: list[tuple[str | Promise, datetime | None]] = [
            (_("Queued"), job.created_at),
            (_("Preparing"), job.submit_started_at or job.started_at),
            (_("Training"), job.first_step_at),
            (_("Saving"), job.last_step_at if saved else None),
        ]
        if job.auto_deploy or endpoint:
            phases.append((_("Deploying"), served.created_at if served else None))
        phases.append((_("Done"), served.started_at if served else job.ended_at))
        reached = self._current_step(len(phases) - 1)
        states = [self._state_of(place, reached) for place in range(len(phases))]
        return [
            Milestone(label, state, at if state != AHEAD else None)
            for (label, at), state in zip(phases, states, strict=True)
        ]

    @property
    def is_saving(self) -> bool:
        """All steps are done; the model is being merged and written to the output folder."""
        return bool(self.job.total_steps) and self.job.fraction_done == 1.0

    @property
    def deployment_failed(self) -> bool:
        if self.joined:
            return self.joined.state == DeployedState.FAILED
        return self.endpoint is not None and self.endpoint.state == EndpointState.FAILED

    def _current_step(self, last: int) -> int:
        if self.has_succeeded:
            return last - 1 if self.awaits_endpoint or self.deployment_failed else last
        if self.is_saving:
            return 3
        if self.job.step or self.job.first_step_at:
            return 2
        return 1 if self.job.started_at or self.job.state in {TuningState.PENDING, TuningState.RUNNING} else 0

    def _state_of(self, place: int, reached: int) -> str:
        if place != reached:
            return DONE if place < reached else AHEAD
        if self.has_succeeded and not self.deployment_failed:
            return CURRENT if self.awaits_endpoint else DONE
        return STOPPED if self.job.is_terminal else CURRENT


def stand(job: TuningJob) -> JobStand:
    made = list(Endpoint.objects.with_model().filter(main_model__job=job))
    there = [endpoint for endpoint in made if endpoint.state != EndpointState.DELETED]
    return JobStand(job, there, len(made), find_joined(job) if job.joins_endpoint else None)


def find_joined(job: TuningJob) -> DeployedModel | None:
    found = DeployedModel.objects.filter(job=job, automatic=True).exclude(pk=F("endpoint_id"))
    model: DeployedModel | None = found.select_related("endpoint").first()
    return model
