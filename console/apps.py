from importlib import import_module

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "console"

    def ready(self) -> None:
        """So that sign-ins are heard of, whatever is started."""
        import_module("console.audit")
