from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _


def dollars(label: Any, help_text: Any) -> forms.DecimalField:
    wrong = _("Enter an amount in US dollars, such as 50, or leave this empty.")
    codes = ("invalid", "min_value", "max_value", "max_digits", "max_decimal_places", "max_whole_digits")
    return forms.DecimalField(
        label=label,
        help_text=help_text,
        required=False,
        min_value=Decimal(0),
        max_digits=12,
        decimal_places=2,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        error_messages=dict.fromkeys(codes, wrong),
    )


class SpendingForm(forms.Form):
    use_required_attribute = False
    person_usd = dollars(_("Each person, in US dollars a day"), _("Empty: no limit."))
    console_usd = dollars(_("Everybody together, in US dollars a day"), _("Empty: no limit."))
    allows_unknown = forms.BooleanField(
        label=_("Allow what has no known price"),
        required=False,
        widget=forms.CheckboxInput(attrs={"role": "switch"}),
        help_text=_("Off: with a limit set, a model or machine without a known price cannot be used."),
    )
