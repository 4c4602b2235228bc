from decimal import Decimal
from typing import Any

from django import template
from django.conf import settings
from django.utils.translation import gettext as _, ngettext

from jobs.models import SpendingLimits

register = template.Library()
CENT = Decimal("0.01")


@register.simple_tag
def use(used: Any, limit: Decimal | None = None) -> str:
    """`used`: of a day, as the service counts it."""
    words = {"used": f"{used.usd:.2f}", "limit": f"{limit:.2f}" if limit is not None else ""}
    text = _("$%(used)s of $%(limit)s") % words if limit is not None else _("$%(used)s, no limit") % words
    if used.unknown:
        more = ngettext("%d without a known price", "%d without a known price", used.unknown) % used.unknown
        return f"{text} · {more}"
    return text


@register.filter
def about_money(amount: Decimal) -> str:
    """Of an estimate. What is paid for costs something."""
    return f"≈ ${amount:,.2f}" if amount >= CENT else f"< ${CENT}"


@register.inclusion_tag("components/spending_note.html")
def spending_note(why_not: str = "") -> dict[str, Any]:
    """Beside something paid: that there is a limit, or why this does not fit. Nothing where all is free."""
    limits = None if settings.VERTEX_API_ENDPOINT else SpendingLimits.objects.filter(pk=1).first()
    return {"limits": limits if limits and limits.are_set else None, "why_not": why_not}
