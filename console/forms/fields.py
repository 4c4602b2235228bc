import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import normalize_newlines
from django.utils.translation import gettext, gettext_lazy as _

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")


def check_display_name(value: str) -> None:
    if CONTROL_CHARACTERS.search(value):
        raise ValidationError(_("A name is one line of text; take out line breaks and other control characters."))
    if not any(character.isalnum() for character in value):
        raise ValidationError(_("Use at least one letter or digit in the name."))


class DisplayNameField(forms.CharField):
    def __init__(self, **kwargs: Any) -> None:
        messages = {
            "required": _("Write a name."),
            "max_length": _("A name has at most 128 characters; this one has %(show_value)d. Shorten it."),
            "null_characters_not_allowed": _(
                "A name is one line of text; take out line breaks and control characters."
            ),
        }
        super().__init__(max_length=128, error_messages=messages, validators=[check_display_name], **kwargs)
        self.widget.attrs.pop("maxlength", None)


class MultilineField(forms.CharField):
    """As it was typed: browsers send each line break as CR LF, which a model would read, and nobody has seen."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> Any:
        return normalize_newlines(super().to_python(value) or "")


class LearningRateField(forms.FloatField):
    widget = forms.TextInput

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and "," in value:
            raise ValidationError(_("Write the learning rate with a point, such as 0.0002, not with a comma."))
        return super().to_python(value)


def ask_for_licence(form: forms.Form, licence: str, refusal: str) -> None:
    """Keep the box with the licence's name on it, or take it out when there is nothing to accept."""
    if not licence:
        del form.fields["accepts_licence"]
        return
    field = form.fields["accepts_licence"]
    field.label = gettext("I accept the %(licence)s") % {"licence": licence}
    field.required = True
    field.error_messages["required"] = refusal


class StepForm(forms.Form):
    use_required_attribute = False

    def typed(self) -> dict[str, Any]:
        """The values as typed, fit for JSON; a file is not among them."""
        kept = [name for name, field in self.fields.items() if not isinstance(field, forms.FileField)]
        return {name: self[name].data for name in kept}
