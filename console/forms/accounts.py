import math
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _, gettext_lazy, ngettext

TWO_MINUTES = 120


def refusal(wait: float) -> str:
    """What to do after too many failures."""
    seconds = math.ceil(wait)
    if seconds < TWO_MINUTES:
        text = ngettext(
            "Too many failed attempts. Wait %(count)d second, then try again.",
            "Too many failed attempts. Wait %(count)d seconds, then try again.",
            seconds,
        )
        return text % {"count": seconds}
    minutes = math.ceil(seconds / 60)
    text = ngettext(
        "Too many failed attempts. Wait %(count)d minute, then try again.",
        "Too many failed attempts. Wait %(count)d minutes, then try again.",
        minutes,
    )
    return text % {"count": minutes}


class SignInForm(AuthenticationForm):
    """`wait` above 0 refuses before the password is looked at, whatever it is. The name comes as `name_of` gives it."""

    def __init__(self, *args: Any, wait: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.wait = wait
        self.fields["username"].error_messages["required"] = _("Enter your username.")
        self.fields["password"].error_messages["required"] = _("Enter your password.")

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        longest = User._meta.get_field("username").max_length
        if longest and len(name) > longest:
            raise ValidationError(_("A username has at most %(count)d characters.") % {"count": longest})
        return name

    def clean(self) -> dict[str, Any]:
        if self.wait:
            raise ValidationError(refusal(self.wait))
        return super().clean()


class ConfirmForm(forms.Form):
    """The password of the account once more. `wait` as at the sign-in."""

    use_required_attribute = False
    password = forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
        error_messages={"required": gettext_lazy("Enter your password.")},
    )

    def __init__(self, user: User, *args: Any, wait: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user, self.wait = user, wait

    def clean_password(self) -> str:
        if self.wait:
            raise ValidationError(refusal(self.wait))
        password: str = self.cleaned_data["password"]
        if not self.user.check_password(password):
            raise ValidationError(_("This password is incorrect."))
        return password
