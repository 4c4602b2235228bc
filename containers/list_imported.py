"""Names the file of every module that a process of the console imports, the standard library's included.

Byte code is written of these alone: of Google's and Hugging Face's packages most is never imported. A module that fails
to be imported fails the build.
"""

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator

APART = ("jobs.localvertex", "jobs.management.commands.statemachine")
BEGINNINGS = ("__main__", "jobs.localvertex.testing", "jobs.sandbox.image")
LATE = (
    "celery.apps.beat", "celery.apps.worker", "celery.bin.beat", "celery.bin.celery", "celery.bin.worker",
    "celery.concurrency.prefork", "celery.concurrency.thread", "celery.fixups.django", "celery.worker.consumer",
    "django.core.management.commands.migrate", "django.db.backends.postgresql.base", "encodings.idna",
    "kombu.transport.redis", "psycopg_binary", "uvicorn.lifespan.on", "uvicorn.loops.auto", "uvicorn.main",
)  # fmt: skip
LATE_LOCALLY = (
    "gcp_storage_emulator.server", "transformers.models.gemma3.modeling_gemma3", "xllamacpp",
)  # fmt: skip


def names(package: str) -> Iterator[str]:
    found = importlib.import_module(package)
    yield package
    for module in pkgutil.walk_packages(found.__path__, f"{package}."):
        yield module.name


def import_console() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    django.setup()
    from console.urls.pages import urlpatterns
    from jobs.vertex.sdk.clients import CLIENTS

    assert urlpatterns
    late = [*LATE, *(f"google.cloud.aiplatform_v1beta1.services.{service}" for service in CLIENTS)]
    ours = [name for package in ("console", "jobs") for name in names(package)]
    import_all([*(name for name in ours if not name.startswith(APART)), *late])


def import_local_servers() -> None:
    from jobs.localvertex.__main__ import GOOGLE, without_what_takes_long

    without_what_takes_long()
    import_all([*names("jobs.localvertex"), *names(f"{GOOGLE[0]}.types"), *LATE_LOCALLY])


def import_all(modules: list[str]) -> None:
    for name in modules:
        if not name.endswith(BEGINNINGS):
            importlib.import_module(name)


def files() -> list[str]:
    found = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return [file for file in found if file and file.startswith("/") and file.endswith(".py")]


def of_another(kind: str) -> set[str]:
    command = [sys.executable, __file__, kind]
    return set(json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout))


if __name__ == "__main__":
    sys.path.insert(0, "")
    if sys.argv[1:] == ["console"]:
        import_console()
        print(json.dumps(files()))
    elif sys.argv[1:] == ["local-servers"]:
        import_local_servers()
        print(json.dumps(files()))
    else:
        kinds = ["console", *(["local-servers"] if "--local" in sys.argv else [])]
        print("\n".join(sorted(set().union(*(of_another(kind) for kind in kinds)))))
