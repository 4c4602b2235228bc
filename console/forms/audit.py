from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.models import AuditOutcome

PERSON = "person"


class DayField(forms.DateField):
    """Of a year in which the day after exists, in every time zone."""

    default_error_messages = {"invalid": _("Enter a date.")}  # noqa: RUF012  # Django's own declaration

    def __init__(self, label: Any) -> None:
        super().__init__(label=label, required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def to_python(self, value: Any) -> date | None:
        day: date | None = super().to_python(value)
        if day and not 2000 <= day.year < 9999:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return day


class AuditFilter(forms.Form):
    """Which entries are looked for. `has_people`: there are others' entries to choose from."""

    use_required_attribute = False
    person = forms.CharField(label=_("Person"), required=False, max_length=150)
    action = forms.CharField(
        label=_("Action"),
        required=False,
        max_length=60,
        widget=forms.TextInput(
            attrs={"list": "audit-actions", "placeholder": "endpoint.deploy", "spellcheck": "false"}
        ),
    )
    about = forms.CharField(label=_("Name or ID of the object"), required=False, max_length=200)
    outcome = forms.ChoiceField(label=_("Outcome"), required=False, choices=[("", _("Any")), *AuditOutcome.choices])
    since = DayField(label=_("From"))
    until = DayField(label=_("To"))

    def __init__(self, data: Any, *, has_people: bool) -> None:
        super().__init__(data, auto_id="audit_%s")
        if not has_people:
            del self.fields[PERSON]

    def condition(self) -> Q:
        """What is wrong with a field does not count; the page says so beside it."""
        self.full_clean()
        values = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        found = Q()
        if PERSON in values:
            found &= Q(actor=values[PERSON])
        if "action" in values:
            found &= Q(action__startswith=values["action"])
        if "about" in values:
            found &= Q(object_id=values["about"]) | Q(object_name__icontains=values["about"])
        if "outcome" in values:
            found &= Q(outcome=values["outcome"])
        if "since" in values:
            found &= Q(created_at__gte=midnight(values["since"]))
        if "until" in values:
            found &= Q(created_at__lt=midnight(values["until"] + timedelta(days=1)))
        return found


def midnight(day: date) -> datetime:
    """Of the person's own time zone."""
    return timezone.make_aware(datetime.combine(day, time()))
