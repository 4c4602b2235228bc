"""What the model servers of an endpoint wrote lately, and why it is not known."""

from dataclasses import dataclass
from datetime import datetime

from jobs.models import Endpoint
from jobs.services.endpoints.reports import reports


@dataclass(frozen=True)
class ShownLog:
    """`told_at` None: nobody has told it yet. `problem` is a sentence with the remedy."""

    text: str
    told_at: datetime | None = None
    problem: str = ""
    is_awaited: bool = False


def render_log(endpoint: Endpoint) -> ShownLog:
    report = reports.find(endpoint, reports.LOG)
    if report is None:
        return ShownLog("")
    text = "\n".join(reports.lines_of(report))
    return ShownLog(text, report.told_at, report.error, report.is_awaited)
