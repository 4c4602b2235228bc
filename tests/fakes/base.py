"""What every part of the fake shares: names, faults, and the decorator that lets a test interfere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from jobs.vertex.values import MachineSpec

if TYPE_CHECKING:
    from tests.fakes import FakeGateway

PROJECT, LOCATION, BUCKET = "garden-local", "us-central1", "garden-local"
PARENT = f"projects/{PROJECT}/locations/{LOCATION}"
CREATES = frozenset({"tuning.create", "custom_jobs.create", "deployment.deploy", "deployment.deploy_to_existing"})
STAGES = ("STARTING_DEPLOYMENT", "PREPARING_MODEL", "STARTING_MODEL_SERVER", "FINISHING_UP", "SUCCESSFULLY_DEPLOYED")
TERMINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"})
MACHINES = (MachineSpec("g2-standard-12", "NVIDIA_L4", 1, "vLLM"), MachineSpec("n2-standard-8", title="CPU"))
GEMMA_270M, GEMMA_27B = "google/gemma3@gemma-3-270m", "google/gemma3@gemma-3-27b-it"
TINY = "local/tiny@tiny-gemma3"

P = ParamSpec("P")
R = TypeVar("R")


class Crash(BaseException):
    """Stands for the death of the process: no `except Exception` survives it."""


@dataclass
class Fault:
    error: BaseException
    after: bool = False
    times: int = 1


@dataclass(frozen=True)
class Creation:
    """One paid create that took place: `kind` is "tuning-job" or "deployment"."""

    kind: str
    name: str
    labels: Mapping[str, str]


class Part:
    noun = ""

    def __init__(self, world: "FakeGateway") -> None:
        self.world = world


def remote(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """Counts the call and lets the test's hooks and faults have their way with it."""

    @wraps(method)
    def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        name = f"{self.noun}.{method.__name__}"
        self.world.calls.append(name)
        for action in self.world.hooks.get(name, []):
            action()
        fault = self.world.take_fault(name)
        if fault and not fault.after:
            raise fault.error
        result = method(self, *args, **kwargs)
        if fault:
            raise fault.error
        return result

    return call
