"""Jobs that are about to be archived or deleted: what uses each, what may be done with it, and what would be freed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from jobs.models import OutputListing, TuningJob
from jobs.services.storage import output_files
from jobs.services.tuning import policies, removal
from jobs.services.tuning.removal import Uses


@dataclass(frozen=True)
class Removal:
    """`why_not_delete` and the like: a sentence, or nothing when it may be done."""

    job: TuningJob
    uses: Uses
    listing: OutputListing
    why_not_archive: str
    why_not_restore: str
    why_not_delete: str
    why_not_delete_files: str

    @property
    def is_counted(self) -> bool:
        return not self.listing.is_awaited and not self.listing.error

    @property
    def over(self) -> list[str]:
        """What cannot be done again when the files are gone: endpoints of this model, jobs that began with it."""
        mine = self.job.owner_id
        served = [one.endpoint.display_name for one in self.uses.served if one.owner_id == mine]
        return list(dict.fromkeys(served + [one.display_name for one in self.uses.trained if one.owner_id == mine]))


@dataclass(frozen=True)
class Removals:
    rows: list[Removal]

    @property
    def to_archive(self) -> list[Removal]:
        return [row for row in self.rows if not row.why_not_archive]

    @property
    def to_restore(self) -> list[Removal]:
        return [row for row in self.rows if not row.why_not_restore]

    @property
    def to_delete(self) -> list[Removal]:
        return [row for row in self.rows if not row.why_not_delete]

    @property
    def with_files(self) -> list[Removal]:
        return [row for row in self.to_delete if not row.why_not_delete_files]

    @property
    def with_model(self) -> bool:
        return any(removal.has_own_model(row.job) for row in self.to_delete)

    @property
    def is_counting(self) -> bool:
        return any(row.listing.is_awaited for row in self.rows)

    @property
    def freed_files(self) -> int:
        return sum(len(row.listing.files) for row in self.with_files if row.is_counted)

    @property
    def freed_bytes(self) -> int:
        return sum(row.listing.size for row in self.with_files if row.is_counted)

    @property
    def to_type(self) -> str:
        """So that it is not done by habit: the name of the one, or the number of several."""
        rows = self.to_delete
        return rows[0].job.display_name if len(rows) == 1 else str(len(rows))


def removals_of(jobs: Iterable[TuningJob], now: datetime) -> tuple[Removals, list[TuningJob]]:
    """And those whose folder the worker is to look into."""
    rows, asked = [], []
    for job in jobs:
        listing, is_asked = output_files.ask(job, now)
        asked += [job] if is_asked else []
        uses = removal.uses_of(job)
        rows.append(
            Removal(
                job, uses, listing, policies.why_not_archive(job), policies.why_not_restore(job),
                policies.why_not_delete(job, uses.blocking), removal.why_not_delete_files(job),
            )
        )  # fmt: skip
    return Removals(rows), asked
