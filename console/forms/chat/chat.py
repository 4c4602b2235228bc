import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from console.forms.fields import DisplayNameField, MultilineField
from jobs.models import LONGEST_ANSWER, Endpoint, Picture, Rating

from .options import range_field

LONGEST_MESSAGE = 100_000


@dataclass(frozen=True)
class Attached:
    """The pictures that come with a message, and why others do not."""

    pictures: Sequence[Picture] = ()
    problems: Sequence[str] = ()


class MessageForm(forms.Form):
    """`key` names the message before it is sent, so that sending it twice is one turn."""

    use_required_attribute = False
    key = forms.UUIDField(widget=forms.HiddenInput, error_messages={"required": _("Reload the page and send again.")})
    text = MultilineField(
        label=_("Message"),
        strip=False,
        max_length=LONGEST_MESSAGE,
        widget=forms.Textarea(attrs={"rows": 1, "placeholder": _("Type a message"), "autofocus": True}),
        error_messages={
            "required": _("Enter a message."),
            "max_length": _("A message has at most %(limit_value)d characters; this one has %(show_value)d."),
        },
    )

    def __init__(self, *args: Any, attached: Attached | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.attached = attached or Attached()
        if self.attached.pictures:
            self.fields["text"].required = False

    @property
    def pictures(self) -> Sequence[Picture]:
        return self.attached.pictures

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"]
        if not text.strip() and not self.pictures:
            raise forms.ValidationError(_("Enter a message."))
        if self.attached.problems:
            raise forms.ValidationError(list(self.attached.problems))
        return text


def empty_message(waiting: Attached | None = None) -> MessageForm:
    """With the pictures that wait in its box."""
    return MessageForm(initial={"key": uuid.uuid4()}, attached=waiting)


class TurnForm(forms.Form):
    """A button under a turn: `key` makes two clicks one."""

    key = forms.UUIDField()


class AnswerForm(forms.Form):
    """An answer as the person would have it; the model `continues` it where that is asked for."""

    use_required_attribute = False
    key = forms.UUIDField(widget=forms.HiddenInput, error_messages={"required": _("Reload the page and try again.")})
    text = MultilineField(
        label=_("Answer"),
        strip=False,
        max_length=LONGEST_ANSWER,
        error_messages={
            "required": _("Enter an answer."),
            "max_length": _("An answer has at most %(limit_value)d characters; this one has %(show_value)d."),
        },
    )
    continues = forms.BooleanField(required=False)


class TitleForm(forms.Form):
    title = forms.CharField(
        label=_("Title"),
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"autofocus": True, "autocomplete": "off"}),
        error_messages={"max_length": _("A title has at most %(limit_value)d characters.")},
    )


class NewChatForm(MessageForm):
    endpoint = forms.ChoiceField(
        label=_("Endpoint"),
        error_messages={
            "required": _("Choose an endpoint."),
            "invalid_choice": _("This endpoint is no longer available. Choose another one."),
        },
    )

    def __init__(self, *args: Any, ready: Iterable[Endpoint], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ready = {str(endpoint.pk): endpoint for endpoint in ready}
        field = self.fields["endpoint"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(pk, endpoint.label) for pk, endpoint in self.ready.items()]

    @property
    def endpoint_in_form(self) -> Endpoint | None:
        """Whatever the message is."""
        return self.ready.get(str(self["endpoint"].value()))

    @property
    def endpoint_shown(self) -> Endpoint | None:
        """Where none is chosen, a browser shows the first."""
        return self.endpoint_in_form or next(iter(self.ready.values()), None)

    def clean_endpoint(self) -> Endpoint:
        return self.ready[self.cleaned_data["endpoint"]]


class TryForm(NewChatForm):
    """A first message with what it is answered by."""

    field_order = ("key", "endpoint", "text", "temperature", "max_tokens")
    temperature = range_field("temperature", label=_("Temperature"), widget=forms.NumberInput(attrs={"step": "0.05"}))
    max_tokens = range_field("max_tokens", label=_("Output token limit"), widget=forms.NumberInput(attrs={"step": "1"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["text"].label = _("Prompt")
        self.fields["text"].widget = forms.Textarea(attrs={"rows": 4})

    def parameters(self) -> dict[str, float | int]:
        values = {name: self.cleaned_data[name] for name in ("temperature", "max_tokens")}
        return {name: value for name, value in values.items() if value is not None}


class ChatsDatasetForm(forms.Form):
    """The name of a dataset that several chats become."""

    use_required_attribute = False
    key = forms.UUIDField(widget=forms.HiddenInput, error_messages={"required": _("Reload the page and try again.")})
    name = DisplayNameField(
        label=_("Name of the dataset"),
        help_text=_("If you already have a dataset with this name, it gets a new version."),
    )
    only_good = forms.BooleanField(
        label=_("Only answers that you rated as good"),
        required=False,
        help_text=_(
            "Rate an answer with the thumbs below it. Each row also has the conversation before the "
            "answer, rated or not."
        ),
    )


class RatingForm(forms.Form):
    """Empty takes a rating back."""

    rating = forms.ChoiceField(choices=Rating, required=False)
