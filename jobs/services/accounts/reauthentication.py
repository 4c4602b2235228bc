"""For what a person has to prove again who they are, and how long a proof holds. Asked by every way in."""

from datetime import datetime, timedelta
from typing import Final

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

PROOF_LASTS: Final = timedelta(minutes=15)


class SensitiveAction(TextChoices):
    """The label completes: “Confirm that it is you to …”."""

    FIRST_PASSWORD = "first-password", _("set a password")
    NOTIFICATION_ADDRESS = "notification-address", _("change where notifications are sent")
    WEBHOOK_SECRET = "webhook-secret", _("create a new webhook secret")
    END_SESSIONS = "end-sessions", _("end other sessions")
    ADMINISTRATION = "administration", _("change settings that affect everyone")


# A sign-in is no proof for these: a password outlives every link, so whatever acts in the first minutes of a session
# must not be able to leave one behind.
NEEDS_OWN_PROOF: Final = frozenset({SensitiveAction.FIRST_PASSWORD})


def is_proven(
    action: SensitiveAction, *, signed_in_at: datetime | None, proved_at: datetime | None, now: datetime
) -> bool:
    """`proved_at`: when the person last confirmed in this session, by the password or by a new link."""
    counting = [proved_at] if action in NEEDS_OWN_PROOF else [proved_at, signed_in_at]
    return any(at is not None and now - PROOF_LASTS < at <= now for at in counting)
