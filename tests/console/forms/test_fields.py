"""Fields that several forms share."""

import importlib
import inspect
import pkgutil

import pytest
from django import forms

import console.forms
from console.forms.fields import MultilineField, report_problems
from jobs.errors import Problem

# What is read as lines, as JSON or as YAML, and not kept as it was typed.
PARSED = {
    "DefaultsForm.schema", "DefaultsForm.tools", "JobFileForm.text", "NameForm.labels", "OptionsForm.schema",
    "OptionsForm.tools",
}  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("One\r\nTwo\r\n\r\nThree", "One\nTwo\n\nThree"), ("One\rTwo", "One\nTwo"), ("One\nTwo", "One\nTwo")],
)
def test_lines_end_as_they_were_typed(sent, kept):
    assert MultilineField().clean(sent) == kept


def test_a_line_break_counts_as_one_character():
    assert MultilineField(max_length=3).clean("a\r\nb") == "a\nb"


def test_every_text_of_several_lines_is_such_a_field():
    found = {
        f"{form.__name__}.{name}"
        for module in pkgutil.walk_packages(console.forms.__path__, "console.forms.")
        for _, form in inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
        if issubclass(form, forms.Form)
        for name, field in form.base_fields.items()
        if isinstance(field.widget, forms.Textarea) and not isinstance(field, MultilineField)
    }
    assert found == PARSED


def test_a_problem_of_no_field_stands_above_all():
    form = MinimalForm({"name": "x"})
    assert form.is_valid()
    report_problems(form, [Problem("wrong", "moon", "Choose another moon."), Problem("bad", "name", "Another name.")])
    assert form.errors == {"__all__": ["Choose another moon."], "name": ["Another name."]}


class MinimalForm(forms.Form):
    name = forms.CharField()
