from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _


class SignInForm(AuthenticationForm):
    """`admitted` False refuses before the password is looked at, whatever it is."""

    def __init__(self, *args: Any, admitted: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.admitted = admitted
        self.fields["username"].error_messages["required"] = _("Write your username.")
        self.fields["password"].error_messages["required"] = _("Write your password.")

    def clean(self) -> dict[str, Any]:
        if not self.admitted:
            raise ValidationError(_("Too many failed attempts. Wait a minute, then try again."))
        return super().clean()
