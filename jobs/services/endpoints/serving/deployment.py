"""What a deployment is asked to be."""

from dataclasses import dataclass, field

from jobs.models import LeaseKind, TuningJob
from jobs.services.catalogue import regions
from jobs.services.endpoints import spec_rules
from jobs.services.tuned_models import policies as tuned_model_policies

from .spec import ServingOptions


@dataclass(frozen=True)
class Machine:
    machine_type: str = ""
    accelerator_type: str = ""
    accelerator_count: int = 0


@dataclass(frozen=True)
class DeploymentSpec:
    """One of `publisher_model`, a `job` that succeeded, or `artifact_uri`: a `gs://` folder with weights.

    `checkpoint` of the job; "" takes its default.
    `machine` None: Vertex AI chooses. Replicas and spot are asked for together with a machine only.
    With `lease_hours` it is undeployed by itself, as `lease_kind` says; without, never.
    `location` empty: where the model was tuned, else the region that is proposed.
    """

    display_name: str
    publisher_model: str = ""
    job: TuningJob | None = None
    accepts_licence: bool = False
    machine: Machine | None = None
    artifact_uri: str = ""
    model_display_name: str = ""
    min_replicas: int = 1
    max_replicas: int = 1
    spot: bool = False
    shared_address: bool = False
    lease_hours: int | None = None
    lease_kind: str = LeaseKind.FIXED
    checkpoint: str = ""
    location: str = ""
    options: ServingOptions = field(default_factory=ServingOptions)

    @property
    def region(self) -> str:
        """Where it is deployed: a tuned model where it was tuned. The local Vertex AI has one region."""
        home = tuned_model_policies.find_region(self.job) if self.job and regions.has_choice() else ""
        return self.location or home or regions.default_serving_region()

    def validate(self) -> None:
        """Raises InvalidValues."""
        machine = self.machine or Machine()
        spec_rules.validate(
            display_name=self.display_name,
            model_display_name=self.model_display_name,
            min_replicas=self.min_replicas,
            max_replicas=self.max_replicas,
            lease_kind=self.lease_kind if self.lease_hours is not None else "",
            lease_hours=self.lease_hours,
            options=self.options,
            machine_type=machine.machine_type,
            accelerator_count=machine.accelerator_count,
            spot=self.spot,
            shared_address=self.shared_address,
            **({} if self.job else {"location": self.region}),
        )
