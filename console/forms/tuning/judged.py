"""A step of a tuning job whose values the domain judges, once they can be read as values."""

from typing import Any

from django import forms

from console.forms.fields import StepForm, report_problems
from jobs.errors import Problem
from jobs.services.tuning.spec import find_problems
from jobs.services.tuning.spec_terms import Terms


class JudgedForm(StepForm):
    def judge(self, terms: Terms, **known: Any) -> None:
        """`known`: what other steps say."""
        found = find_problems(self.cleaned_data | known, terms)
        report_problems(self, (self.place(one) for one in found if one.field not in known))

    def place(self, problem: Problem) -> Problem:
        """As this form shows it."""
        return problem


class OfferedField(forms.ChoiceField):
    """Offers choices. Whether a value is one of them is for the domain to say."""

    def valid_value(self, value: object) -> bool:
        return True


class OfferedNumberField(OfferedField, forms.TypedChoiceField):
    pass
