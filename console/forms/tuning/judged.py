"""A step of a tuning job whose values the domain judges, once they can be read as values."""

from django import forms

from console.forms.fields import StepForm, report_problems
from jobs.errors import Problem
from jobs.services.tuning.spec import find_problems
from jobs.services.tuning.spec_terms import Terms


class JudgedForm(StepForm):
    def judge(self, terms: Terms) -> None:
        report_problems(self, map(self.place, find_problems(self.cleaned_data, terms)))

    def place(self, problem: Problem) -> Problem:
        """As this form shows it."""
        return problem


class OfferedField(forms.ChoiceField):
    """Offers choices. Whether a value is one of them is for the domain to say."""

    def valid_value(self, value: object) -> bool:
        return True


class OfferedNumberField(OfferedField, forms.TypedChoiceField):
    pass
