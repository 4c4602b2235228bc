import shlex
import sys
from argparse import ArgumentParser, ArgumentTypeError
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import BaseCommand, CommandError
from django.utils import timezone

from jobs.models.fields.uris import parse_gs_uri
from jobs.services.smoke import assumptions, report
from jobs.services.smoke.plan import Plan, Stopped
from jobs.services.smoke.run import Run
from jobs.services.smoke.taking_down import take_down_all
from jobs.services.storage import policies

BASE_MODEL = "google/gemma3@gemma-3-1b-it"
CAP_USD = Decimal(5)
HIGHEST_USD = Decimal(100)


class Command(BaseCommand):
    help = (
        "Tunes a small model on thirty rows on Vertex AI, deploys it, asks it a question, takes everything down, and"
        " says which of the console's assumptions held. It costs money, and turns back before list prices reach the"
        " cap."
    )

    stealth_options = ("stdin",)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", nargs="?", default="owner", help="whose rows these are (default: owner)")
        parser.add_argument("--base-model", default=BASE_MODEL, help="default: %(default)s")
        parser.add_argument("--cap-usd", type=usd, default=CAP_USD, help="default: %(default)s US dollars")
        parser.add_argument("--machine-type", default="", help="default: the cheapest whose price is known")
        parser.add_argument("--usd-per-hour", type=usd, help="the machine's price, where the console knows none")
        parser.add_argument("--training-usd", type=usd, help="the training's price, where the console knows none")
        parser.add_argument("--accept-terms", action="store_true", help="you have read the model's terms and accept")
        parser.add_argument("--report", type=Path, default=Path("vertex-smoke.md"), help="default: %(default)s")
        parser.add_argument("--yes", action="store_true", help="spend money without asking first")
        parser.add_argument("--clean-up", action="store_true", help="only take down what earlier runs left")

    def handle(self, *args: Any, username: str, **options: Any) -> None:
        owner = User.objects.filter(username=username, is_active=True).first()
        if owner is None:
            raise CommandError(f"There is no account named {username}. Enter another name: manage.py vertex-smoke NAME")
        if options["clean_up"]:
            self._clean_up(owner)
            return
        try:
            parse_gs_uri(settings.VERTEX_BUCKET)
        except ValueError as error:
            raise CommandError(f"Set VERTEX_BUCKET, such as gs://my-bucket. {error}") from None
        if not options["yes"]:
            self.stdout.write(f"Spend up to ${options['cap_usd']} on Vertex AI? [y/N] ", ending="")
            self.stdout.flush()
            if (options.get("stdin") or sys.stdin).readline().strip().lower() != "y":
                raise CommandError("Nothing was done.")
        self._run(owner, options)

    def _run(self, owner: User, options: dict[str, Any]) -> None:
        began = timezone.now()
        plan = Plan(
            base_model=options["base_model"],
            output_uri=f"{policies.own_folder(owner)}/vertex-smoke/{began:%Y%m%d-%H%M%S}",
            cap_usd=options["cap_usd"],
            machine_type=options["machine_type"],
            usd_per_hour=options["usd_per_hour"],
            training_usd=options["training_usd"],
            accepts_terms=options["accept_terms"],
        )
        run = Run(owner, plan, self.stdout.write)
        try:
            succeeded = run.go()
        finally:
            place = f"{settings.VERTEX_API_ENDPOINT or 'Vertex AI'}, {settings.VERTEX_LOCATION}"
            options["report"].write_text(
                report.write(
                    began=began,
                    place=place,
                    base_model=plan.base_model,
                    steps=[(step.name, step.outcome, step.seconds) for step in run.steps],
                    spent=run.spent,
                    cap=plan.cap_usd,
                    findings=assumptions.judge(run.evidence),
                ),
                encoding="utf-8",
            )
            self.stdout.write(f"Report: {options['report']}")
        if run.job:
            self.stdout.write(f"The tuned model's files stay: gcloud storage rm -r {shlex.quote(plan.output_uri)}")
        if not succeeded:
            raise CommandError("A step failed. The report says which, and why.")

    def _clean_up(self, owner: User) -> None:
        try:
            left = take_down_all(owner)
        except Stopped as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Taken down: {len(left)}." if left else "Nothing was left.")


def usd(text: str) -> Decimal:
    with suppress(InvalidOperation):
        amount = Decimal(text)
        if amount.is_finite() and 0 <= amount <= HIGHEST_USD:
            return amount
    raise ArgumentTypeError(f"{text} is not an amount from 0 to {HIGHEST_USD} US dollars, such as 2.50")
