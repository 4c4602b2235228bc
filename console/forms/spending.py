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
    person_usd = dollars(_("Per person, in US dollars per day"), _("If empty, there is no limit."))
    console_usd = dollars(_("Everyone together, in US dollars per day"), _("If empty, there is no limit."))
    allows_unknown = forms.BooleanField(
        label=_("Allow unknown prices"),
        required=False,
        widget=forms.CheckboxInput(attrs={"role": "switch"}),
        help_text=_("When off and a limit is set, models and machines without a known price can't be used."),
    )
