from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import lazy
from django.utils.text import normalize_newlines
from django.utils.translation import gettext, gettext_lazy as _

from jobs.errors import Problem
from jobs.models.fields.names import LONGEST_NAME, name_problem


def lazy_text(sentence: Callable[[], str]) -> str:
    """A sentence of the domain, in the language of whoever reads the form. As plain text: Django fills in values of its
    own, which a sentence that can be told again would take for its own."""
    return lazy(lambda: "".join([sentence()]), str)()


def check_display_name(value: str) -> None:
    code, sentence = name_problem(value)
    if code:
        raise ValidationError(sentence, code=code)


def check_name_length(value: str) -> None:
    """Of a name that is made fit where it has what a name cannot have."""
    if len(value) > LONGEST_NAME:
        check_display_name(value)


def report_problems(form: forms.Form, problems: Iterable[Problem]) -> None:
    """What the domain says, each at its field; a field that could not be read has its own error. What is about none of
    them stands above all."""
    for problem in problems:
        if problem.field not in form.errors:
            place = problem.field if problem.field in form.fields else None
            form.add_error(place, ValidationError(problem.sentence, code=problem.code))


def fill_replicas(values: dict[str, Any], low: str, high: str) -> None:
    """An empty field follows the other one."""
    if low in values and values[low] is None:
        values[low] = 1
    if high in values and values[high] is None:
        values[high] = values.get(low, 1)


class DisplayNameField(forms.CharField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(error_messages={"required": lazy_text(lambda: name_problem("")[1])}, **kwargs)
        self.validators = [check_display_name]


class MultilineField(forms.CharField):
    """As it was typed: browsers send each line break as CR LF, which a model would read, and nobody has seen."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> Any:
        return normalize_newlines(super().to_python(value) or "")


class LearningRateField(forms.FloatField):
    widget = forms.TextInput

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and "," in value:
            raise ValidationError(_("Enter the learning rate with a decimal point, such as 0.0002, not with a comma."))
        return super().to_python(value)


class DecimalField(forms.FloatField):
    """With a decimal point, whichever language the page has."""

    widget = forms.TextInput

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and "," in value:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
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

    def raw_data(self) -> dict[str, Any]:
        """The values as typed, fit for JSON; a file is not among them."""
        kept = [name for name, field in self.fields.items() if not isinstance(field, forms.FileField)]
        return {name: self[name].data for name in kept}
