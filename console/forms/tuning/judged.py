"""A step of a tuning job whose values the domain judges, once they can be read as values."""

from django import forms
from django.core.exceptions import ValidationError

from console.forms.fields import StepForm
from jobs.errors import Problem
from jobs.services.tuning.spec import find_problems
from jobs.services.tuning.spec_terms import Terms


class JudgedForm(StepForm):
    def judge(self, terms: Terms) -> None:
        for problem in find_problems(self.cleaned_data, terms):
            self.report(problem)

    def report(self, problem: Problem) -> None:
        if problem.field not in self.errors:
            self.add_error(problem.field, ValidationError(problem.sentence, code=problem.code))


class OfferedField(forms.ChoiceField):
    """Offers choices. Whether a value is one of them is for the domain to say."""

    def valid_value(self, value: object) -> bool:
        return True


class OfferedNumberField(OfferedField, forms.TypedChoiceField):
    pass
