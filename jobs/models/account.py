import uuid
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class SignInLink(models.Model):
    """Signs its user in once. Only the SHA-256 of the token is kept."""

    token_hash = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)


class Installation(models.Model):
    """One row. Its id is a label on everything this installation creates."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)


class Heartbeat(models.Model):
    """When a part last did work, by name: `worker`, `beat`, `vertex`. Liveness is work done, not a process id."""

    name = models.CharField(max_length=40, primary_key=True)
    seen_at = models.DateTimeField()
    detail = models.TextField(blank=True)


class Density(models.TextChoices):
    COMFORTABLE = "comfortable", _("Comfortable")
    COMPACT = "compact", _("Compact")


class Theme(models.TextChoices):
    SYSTEM = "system", _("System default")
    LIGHT = "light", _("Light")
    DARK = "dark", _("Dark")


class AccountPreference(models.Model):
    """How a person wants the pages to be, on every machine they sign in from. `hidden_columns`: {list: [column]}.

    Empty `theme`, `language` and `time_zone` mean that nothing was chosen. `defaults` is what forms propose at first.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="preference"
    )
    density = models.CharField(max_length=12, choices=Density, default=Density.COMFORTABLE)
    rows_per_page = models.PositiveSmallIntegerField(default=50)
    hidden_columns = models.JSONField(default=dict, blank=True)
    theme = models.CharField(max_length=8, choices=Theme, blank=True)
    language = models.CharField(max_length=8, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    reduces_motion = models.BooleanField(default=False)
    single_keys = models.BooleanField(default=True)
    enter_sends = models.BooleanField(default=True)
    defaults = models.JSONField(default=dict, blank=True)


def preference_of(user: AbstractBaseUser | AnonymousUser) -> AccountPreference:
    """As it came with the account; one with the defaults when nothing was ever chosen."""
    found: AccountPreference | None = getattr(user, "preference", None)
    return found or AccountPreference()


class SignedInSessionQuerySet(models.QuerySet["SignedInSession"]):
    def alive(self, now: datetime) -> "SignedInSessionQuerySet":
        return self.filter(expires_at__gt=now)

    def visible_to(self, user: User) -> "SignedInSessionQuerySet":
        return self.filter(user=user)


class SignedInSession(models.Model):
    """What one browser's cookie opens. The key in the cookie is not kept: `id` is made of its SHA-256, so a copy of
    this table signs nobody in.

    A session ends when `expires_at` is moved to the past. Its row stays until its event streams were told.
    `signed_in_at` is empty as long as nobody has signed in. `auth_hash` is the account's at that time: it differs
    once the password was changed.
    """

    id = models.UUIDField(primary_key=True, editable=False, default=uuid.uuid4)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    data = models.TextField(blank=True)
    expires_at = models.DateTimeField(db_index=True)
    signed_in_at = models.DateTimeField(null=True)
    last_seen_at = models.DateTimeField(default=timezone.now)
    address = models.GenericIPAddressField(null=True)
    agent = models.CharField(max_length=300, blank=True)
    auth_hash = models.CharField(max_length=128, blank=True)

    objects = SignedInSessionQuerySet.as_manager()
