"""Times that somebody else wrote."""

from datetime import UTC, datetime

# Between them every time zone has a calendar.
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


def possible(moment: datetime | None) -> datetime | None:
    """None for one that no page could show."""
    return moment if moment is not None and EARLIEST <= moment <= LATEST else None
