"""The gateway by Google's own clients.

Each part is imported at first use: the GAPIC package costs about a second and 110 MB, which the chat alone and the
storage alone do not need.
"""

from functools import cached_property
from importlib import import_module
from threading import RLock
from typing import Any, cast

from jobs.vertex import port
from jobs.vertex.values import CustomJobSpec

from .counted import Counted

# Google's packages import each other in circles: two threads that begin at different ends see half a module.
IMPORTING = RLock()


class Gateway:
    @cached_property
    def connection(self) -> port.Connection:
        return cast(port.Connection, _part("connection", "Connection"))

    @cached_property
    def project(self) -> port.Project:
        return cast(port.Project, _part("project", "Project", "cloud.project"))

    @cached_property
    def catalogue(self) -> port.Catalogue:
        return cast(port.Catalogue, _part("catalogue", "Catalogue"))

    @cached_property
    def storage(self) -> port.Storage:
        return cast(port.Storage, _part("storage", "Storage", "storage.objects"))

    @cached_property
    def tuning(self) -> port.Tuning:
        return cast(port.Tuning, _part("tuning", "Tuning"))

    @cached_property
    def custom_jobs(self) -> port.TrainingJobs[CustomJobSpec]:
        return cast(port.TrainingJobs[CustomJobSpec], _part("custom_jobs", "CustomJobs"))

    @cached_property
    def metrics(self) -> port.Metrics:
        return cast(port.Metrics, _part("metrics", "Metrics"))

    @cached_property
    def logs(self) -> port.Logs:
        return cast(port.Logs, _part("logs", "Logs", "cloud.logs"))

    @cached_property
    def monitoring(self) -> port.Monitoring:
        return cast(port.Monitoring, _part("monitoring", "Monitoring", "cloud.monitoring"))

    @cached_property
    def deployment(self) -> port.Deployment:
        return cast(port.Deployment, _part("deployment", "Deployment", "deployments.deployment"))

    @cached_property
    def imports(self) -> port.Imports:
        return cast(port.Imports, _part("imports", "Imports"))

    @cached_property
    def inventory(self) -> port.Inventory:
        return cast(port.Inventory, _part("inventory", "Inventory"))

    @cached_property
    def chat(self) -> port.Chat:
        return cast(port.Chat, _part("chat", "Chat", "chat.answers"))


def _part(name: str, class_name: str, module: str = "") -> Any:
    with IMPORTING:
        return Counted(name, getattr(import_module(f"{__name__}.{module or name}"), class_name)())
