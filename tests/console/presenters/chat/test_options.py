import pytest
from django.http import QueryDict

from console.presenters.chat.options import options_of
from tests.support import factories

pytestmark = pytest.mark.django_db


def test_the_model_s_own_defaults_are_shown_in_what_is_left_open():
    factories.publisher_model(data={"sampling": {"temperature": 0.2, "top_p": 0.9}})
    talk = factories.conversation(endpoint=factories.ready_endpoint(), parameters={"top_p": 0.5})
    form = options_of(talk)
    places = [str(form.fields[name].widget.attrs["placeholder"]) for name in ("temperature", "top_p", "top_k")]
    assert places == ["Default: 0.2", "Default: 0.9", "Default"]
    assert [form.fields[name].widget.attrs.get("data-default") for name in ("temperature", "top_k")] == ["0.2", None]
    assert [form[name].value() for name in ("temperature", "top_p")] == [None, 0.5]


def test_what_was_typed_goes_before_what_is_saved():
    talk = factories.conversation(endpoint=factories.ready_endpoint(), parameters={"top_p": 0.5})
    form = options_of(talk, QueryDict("temperature=1"), takes=["temperature"])
    assert (form.is_valid(), form.parameters(), "top_p" in form.fields) == (True, {"temperature": 1.0}, False)
