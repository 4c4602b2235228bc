"""Times that somebody else wrote, and times as Google's filters take them."""

from datetime import UTC, datetime

# Between them every time zone has a calendar.
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


def drop_impossible(moment: datetime | None) -> datetime | None:
    """None for one that no page could show."""
    return moment if moment is not None and EARLIEST <= moment <= LATEST else None


def read_moment(text: object) -> datetime | None:
    """To the second, of a text in UTC, as Google writes it; None for anything else."""
    try:
        return drop_impossible(datetime.fromisoformat(str(text)[:19]).replace(tzinfo=UTC))
    except ValueError:
        return None


def write_moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
