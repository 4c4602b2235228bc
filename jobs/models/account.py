import uuid

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
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
