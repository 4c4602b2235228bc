from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.core import checks


class ConsoleConfig(AppConfig):
    name = "console"

    def ready(self) -> None:
        from console.web.sessions import note_sign_in  # noqa: PLC0415  # models are not there before

        user_logged_in.connect(note_sign_in)
        # Sign-ins are heard of, whatever is started.
        import_module("console.web.audit")
        checks.register(check_schema, checks.Tags.database)


def check_schema(databases: Any = None, **_: Any) -> list[checks.CheckMessage]:
    """Of `migrate`, which would find nothing to do in a newer database and say that all is well."""
    from jobs.services.health import schema  # noqa: PLC0415  # models are ready only now

    problem = schema.why_not_use() if databases else ""
    return [checks.Error(problem, id="console.E001")] if problem else []
