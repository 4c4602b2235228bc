"""A small paid journey through the console's own services: tune, deploy, ask, undeploy, delete, and look at each step.

Whatever happens after the first paid request, the run takes down what it made; for a process that is killed,
`taking_down.take_down_all` does.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from jobs.errors import JobsError
from jobs.models import Endpoint, PublisherModel, TuningJob
from jobs.services.catalogue import publisher_models
from jobs.services.chat import conversations
from jobs.services.chat.streaming import answer
from jobs.services.costs import machine_prices
from jobs.services.preflight import preflight, subjects
from jobs.services.preflight.lines import Subject
from jobs.services.tuning import jobs
from jobs.services.tuning.spec import TuningSpec
from jobs.states import TUNED, EndpointState, MessageState, Phase
from jobs.vertex.errors import VertexError

from .budget import Budget
from .evidence import Evidence, is_gone, look_at_endpoint, look_at_job, look_at_project
from .plan import Plan, Stopped, find_cheapest, make_spec
from .taking_down import PATIENCE, Pause, advance, endpoint_of, take_down, wait

DONE = "done"
QUESTION = "What is the capital of Peru?"


@dataclass
class Step:
    name: str
    outcome: str = ""
    seconds: float = 0


@dataclass
class Run:
    owner: User
    plan: Plan
    tell: Callable[[str], None]
    evidence: Evidence = field(default_factory=Evidence)
    steps: list[Step] = field(default_factory=list)
    budget: Budget = field(init=False)
    spec: TuningSpec = field(init=False)
    key: UUID = field(default_factory=uuid4)
    job: TuningJob | None = None
    endpoint: Endpoint | None = None
    deployed_since: datetime | None = None
    spent: Decimal = Decimal(0)
    patience: timedelta = PATIENCE
    pause: Pause = wait

    def go(self) -> bool:
        """True when every step succeeded. Raises nothing but KeyboardInterrupt, after taking down what was made."""
        try:
            with suppress(Stopped):
                for name, step in self._way():
                    with self._step(name):
                        step()
        finally:
            try:
                self._look()
            finally:
                with suppress(Stopped):
                    self._take_down()
        return all(step.outcome == DONE for step in self.steps)

    def _way(self) -> list[tuple[str, Callable[[], None]]]:
        return [
            ("Check the project and the price", self._prepare),
            ("Tune", self._tune),
            ("Deploy", self._deploy),
            ("Ask", self._ask),
        ]

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        step, began = Step(name), time.monotonic()
        self.steps.append(step)
        self.tell(f"{name} …")
        try:
            yield
            step.outcome = DONE
        except Stopped as error:
            step.outcome = str(error)
            raise
        except (JobsError, VertexError) as error:
            step.outcome = str(error)
            raise Stopped(str(error)) from error
        finally:
            step.seconds = time.monotonic() - began
            self.tell(f"{name}: {step.outcome or 'interrupted'}")

    def _prepare(self) -> None:
        self._check_project(subjects.of_training(self.plan.base_model, self.plan.output_uri))
        publisher_models.sync(timezone.now())
        model = PublisherModel.objects.filter(name=self.plan.base_model).first()
        if model is None:
            raise Stopped(f"{self.plan.base_model} is not in the catalogue.")
        machine = self.plan.machine_type or find_cheapest(model)
        self.spec = make_spec(self.owner, self.plan, machine)
        known = machine_prices.price(machine)
        per_hour = known.usd_per_hour if known else None
        self.budget = Budget(
            self.plan.cap_usd,
            training=jobs.price_of(self.spec) if self.plan.training_usd is None else self.plan.training_usd,
            per_hour=per_hour if self.plan.usd_per_hour is None else self.plan.usd_per_hour,
        )
        if reason := self.budget.why_not_start():
            raise Stopped(reason)
        self.tell(f"Training about ${self.budget.training}; {machine} ${self.budget.per_hour} an hour.")
        look_at_project(self.evidence, self.plan.base_model, settings.VERTEX_LOCATION)
        self._check_project(jobs.subject_of(self.spec))

    def _check_project(self, subject: Subject) -> None:
        if not preflight.applies():
            return
        preflight.ask(subject, timezone.now())
        preflight.run(subject.key, timezone.now())
        found = preflight.find(subject, timezone.now())
        for line in found.lines:
            self.tell(f"  {line.check}: {line.verdict} {line.text}")
        if found.failed:
            raise Stopped(" ".join([str(found.failed[0].text), *found.commands]))

    def _tune(self) -> None:
        self.job = jobs.create(self.owner, key=self.key, spec=self.spec)
        self._advance_until(lambda: self._job().is_terminal)
        if self._job().state not in TUNED:
            raise Stopped(f"{self._job().state}: {self._job().error_message}")

    def _deploy(self) -> None:
        self._advance_until(lambda: self._find_endpoint() is not None or self._job().phase == Phase.CLOSED)
        if self.endpoint is None:
            raise Stopped("The job is over and its model was not deployed. Its page says why.")
        self._advance_until(lambda: self._state() in (EndpointState.READY, EndpointState.FAILED))
        if self._state() != EndpointState.READY:
            raise Stopped(f"{self._state()}: {self._endpoint().model.error_message or self._endpoint().error_message}")

    def _ask(self) -> None:
        conversation = conversations.start(self.owner, endpoint=self._endpoint())
        try:
            asked = conversations.ask(conversation, key=uuid4(), text=QUESTION)
            answer.answer(asked.pk)
            asked.refresh_from_db()
            if asked.state != MessageState.COMPLETE:
                raise Stopped(f"{asked.state}: {asked.error_message}")
            self.evidence.answer = asked.content
        finally:
            conversations.delete(conversation)

    def _look(self) -> None:
        if self.job:
            look_at_job(self.evidence, self._job())
        if self.endpoint and self._endpoint().resource_name:
            look_at_endpoint(self.evidence, self._endpoint())

    def _take_down(self) -> None:
        # An interruption may come when the job is on disk, where a worker finds it, and before it is here.
        self.job = self.job or TuningJob.objects.filter(pk=self.key).first()
        if self.job is None:
            return
        with self._step("Undeploy and delete"):
            try:
                take_down(self._job(), self.patience, self.pause)
            finally:
                self.spent = self.budget.spent(self.deployed_since, timezone.now())
            if (endpoint := self._find_endpoint()) and endpoint.resource_name:
                self.evidence.is_gone = is_gone(endpoint.resource_name)

    def _advance_until(self, is_reached: Callable[[], bool]) -> None:
        while not is_reached():
            advance(self._job())
            if endpoint := self._find_endpoint():
                self._note_deployment(endpoint)
            if self.budget.is_used_up(self.deployed_since, timezone.now()):
                raise Stopped(f"The cap of ${self.budget.cap} is almost reached. The run ends here.")
            self.pause()

    def _note_deployment(self, endpoint: Endpoint) -> None:
        if self.deployed_since is None and endpoint.model.phase != Phase.INTENT:
            self.deployed_since = timezone.now()

    def _job(self) -> TuningJob:
        assert self.job is not None
        self.job.refresh_from_db()
        return self.job

    def _find_endpoint(self) -> Endpoint | None:
        if self.endpoint is None and self.job:
            self.endpoint = endpoint_of(self.job)
        return self.endpoint

    def _endpoint(self) -> Endpoint:
        assert self.endpoint is not None
        self.endpoint.refresh_from_db()
        return self.endpoint

    def _state(self) -> str:
        return str(self._endpoint().state)
