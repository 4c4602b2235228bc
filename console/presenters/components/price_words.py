"""Where a price comes from and of when, and sums of money."""

from decimal import Decimal

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from jobs.services.costs.ledger import Spent
from jobs.services.costs.machine_prices import Price

SMALLEST = Decimal("0.01")


def money(amount: Decimal) -> str:
    return f"${amount:,.2f}" if amount >= SMALLEST or not amount else "< $0.01"


def source_words(price: Price | None) -> str:
    """Nothing of what costs nothing or of what nobody knows."""
    if price is None or not price.usd_per_hour:
        return ""
    words = {"region": price.region, "source": price.source, "date": price.as_of.isoformat()}
    told = (_told_of_spot(price) if price.spot else _told(price)) % words
    return f"{told} {old_words(price)}".strip()


def _told(price: Price) -> str:
    if price.source:
        return _("List price in %(region)s. %(source)s, %(date)s.")
    return _("List price in %(region)s. Google's price catalogue, read on %(date)s.")


def _told_of_spot(price: Price) -> str:
    if price.source:
        return _("Spot price in %(region)s. %(source)s, %(date)s.")
    return _("Spot price in %(region)s. Google's price catalogue, read on %(date)s.")


def old_words(price: Price | None) -> str:
    if price is None or not price.is_old:
        return ""
    return _("This price is more than 90 days old. Check Google's price list.")


def spent_words(spent: Spent) -> str | Promise:
    """A period whose price nobody knew is said to be so, and not left out of the sum in silence."""
    if not spent.unknown:
        return money(spent.usd) if spent.usd else _("No cost")
    return _("%(known)s + unknown") % {"known": money(spent.usd)} if spent.usd else _("Unknown")
