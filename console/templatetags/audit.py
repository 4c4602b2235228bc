from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _, gettext_lazy

from jobs.models import AuditEntry, AuditOutcome

from .console import status

register = template.Library()
SYSTEM = "system"
ID_LENGTH = 36
KINDS: dict[str, Promise] = {
    "account": gettext_lazy("Account"),
    "chat": gettext_lazy("Chat"),
    "chat_image": gettext_lazy("Chat image"),
    "chat_link": gettext_lazy("Chat link"),
    "chat_message": gettext_lazy("Chat message"),
    "comparison": gettext_lazy("Comparison"),
    "dataset": gettext_lazy("Dataset"),
    "delivery": gettext_lazy("Notification delivery"),
    "deployed_model": gettext_lazy("Deployed model"),
    "endpoint": gettext_lazy("Endpoint"),
    "session": gettext_lazy("Session"),
    "shared_folder": gettext_lazy("Shared folder"),
    "spending_limits": gettext_lazy("Spending limits"),
    "tuning_draft": gettext_lazy("Tuning job draft"),
    "tuning_job": gettext_lazy("Tuning job"),
}
LOOKS = {AuditOutcome.OK: "succeeded", AuditOutcome.REFUSED: "cancelled", AuditOutcome.FAILED: "failed"}


@register.simple_tag
def moment(when: datetime) -> SafeString:
    """To the second, in the person's time zone: an audit is read with other logs beside it."""
    local = timezone.localtime(when)
    text = f"{date_format(local, 'DATE_FORMAT')} {local:%H:%M:%S}"
    return format_html('<time datetime="{}">{}</time>', when.isoformat(timespec="milliseconds"), text)


@register.simple_tag
def who(entry: AuditEntry) -> SafeString:
    """Without a request it was the console; a person may be called `system`, too."""
    if entry.actor == SYSTEM and not entry.request_id:
        return format_html('<span class="muted">{}</span>', _("The console"))
    return (
        format_html("{}", entry.actor)
        if entry.actor
        else format_html('<span class="muted">{}</span>', _("Not signed in"))
    )


@register.filter
def kind(entry: AuditEntry) -> str:
    return str(KINDS.get(entry.object_kind, entry.object_kind))


@register.filter
def name(entry: AuditEntry) -> str:
    """A chat has none here: what people write is not in the log."""
    is_id = len(entry.object_id) == ID_LENGTH
    return entry.object_name or (entry.object_id[:8] if is_id else "")


@register.simple_tag
def outcome(entry: AuditEntry) -> SafeString:
    return status(LOOKS[AuditOutcome(entry.outcome)], entry.get_outcome_display())
