from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from jobs.models import NotificationChoice, NotificationKind, NotificationWay, WebhookFormat

ADDRESS_FIELDS = {NotificationWay.EMAIL: "email", NotificationWay.WEBHOOK: "webhook_url"}
KINDS = [kind for kind in NotificationKind if kind != NotificationKind.TEST]


class NotificationForm(forms.Form):
    """`ways` has a value `kind:way` for each box that is ticked."""

    use_required_attribute = False
    email = forms.EmailField(
        label=_("Email address"),
        required=False,
        max_length=254,
        help_text=_("If empty, no email is sent."),
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    webhook_url = forms.CharField(
        label=_("Webhook address"),
        required=False,
        max_length=500,
        help_text=_("Receives signed POST requests. If empty, none are sent."),
        widget=forms.URLInput(attrs={"spellcheck": "false", "placeholder": "https://example.com/hook"}),
    )
    webhook_format = forms.ChoiceField(
        label=_("Webhook format"),
        required=False,
        choices=[("", _("Automatic, by the address")), *WebhookFormat.choices],
        help_text=_("Automatic recognizes addresses of Slack, Microsoft Teams, and Discord."),
    )
    ways = forms.MultipleChoiceField(
        label=_("What to send"),
        required=False,
        choices=[(f"{kind.value}:{way.value}", kind.label) for kind in KINDS for way in NotificationWay],
    )

    @classmethod
    def first(cls, choice: NotificationChoice) -> dict[str, Any]:
        chosen = [
            f"{kind.value}:{way.value}" for kind in KINDS for way in NotificationWay if choice.is_ticked(kind, way)
        ]
        addresses = {"email": choice.email, "webhook_url": choice.webhook_url}
        return {**addresses, "webhook_format": choice.webhook_format, "ways": chosen}

    def ways_by_kind(self) -> Mapping[str, list[str]]:
        ticked: list[str] = self.cleaned_data["ways"]
        return {
            kind.value: [way.value for way in NotificationWay if f"{kind.value}:{way.value}" in ticked]
            for kind in KINDS
        }

    def describe_ways(self) -> str:
        """A line for each kind. A way without an address sends nothing."""
        ways = [way for way in NotificationWay if self.cleaned_data[ADDRESS_FIELDS[way]]]
        chosen = self.ways_by_kind()
        labels = {kind: ", ".join(str(way.label) for way in ways if way.value in chosen[kind.value]) for kind in KINDS}
        return "\n".join(f"{kind.label} ({label})" for kind, label in labels.items() if label)

    @property
    def table(self) -> list[dict[str, Any]]:
        """A row a kind, a box a way; a way that is not set up cannot be ticked."""
        ticked = set(self["ways"].value() or [])
        rows = ((kind.label, [self._box(kind, way, ticked) for way in NotificationWay]) for kind in KINDS)
        return [{"label": label, "boxes": boxes} for label, boxes in rows]

    @staticmethod
    def _box(kind: NotificationKind, way: NotificationWay, ticked: set[str]) -> dict[str, Any]:
        value = f"{kind.value}:{way.value}"
        return {"value": value, "way": way.label, "ticked": value in ticked}

    @property
    def has_mail(self) -> bool:
        return bool(settings.EMAIL_HOST)
