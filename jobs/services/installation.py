"""This installation of the console: what it calls itself in Vertex AI and in stores that several consoles may share."""

from uuid import UUID

from jobs.models import Installation


def get_id() -> UUID:
    first = Installation.objects.order_by("created_at", "pk").first()
    return (first or Installation.objects.create()).pk


def lock() -> None:
    """Until the transaction ends: what looks at everybody's rows before it adds one, does so one after the other. The
    row has to be there before the transaction begins, or each of the first two makes one. Where the first few made one
    each at the same moment, all of them are locked: of any two transactions, the later one waits for the earlier."""
    get_id()
    list(Installation.objects.select_for_update().order_by("created_at", "pk"))
