"""What a conversation is asked with: its parameters, and presets of them."""

import uuid

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from console.forms.chat.options import OptionsForm, PresetForm
from console.presenters.chat.options import SWAPPED, is_saved_by_hand, options_of, without_reset
from console.presenters.chat.turns import visible_conversation
from console.web.http import ConsoleRequest, hx_redirect
from jobs.errors import NotAllowedNow
from jobs.models import ChatPreset, Conversation
from jobs.services.chat import conversations, presets

from .conversations import page


@require_POST
def options(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    talk = visible_conversation(request, pk)
    form = options_of(talk, without_reset(request.POST), is_typing=is_typing(request))
    valid = form.is_valid()
    if valid:
        instruction, text = form.cleaned_data["system_instruction"], form.schema_text
        conversations.set_options(talk, system_instruction=instruction, parameters=form.parameters(), schema_text=text)
        form = form if form.awaits_schema else options_of(talk)
    if request.htmx:
        return fragment(request, talk, form, saved=valid)
    return hx_redirect(request, "chat-conversation", pk) if valid else page(request, talk, status=422, options=form)


def fragment(request: ConsoleRequest, talk: Conversation, form: OptionsForm, *, saved: bool) -> HttpResponse:
    """What a person has changed in a field, a morph leaves as it is; here the server has changed it."""
    reset = request.POST.get("reset", "")
    if reset in form.fields:
        form.fields[reset].widget.attrs["autofocus"] = True
    context = {"conversation": talk, "options": form, "saved": saved}
    response = render(request, "chat/options.html", context, status=200 if saved else 422)
    if reset or "stop-remove" in request.POST or "".join(request.POST.getlist("stop")[-1:]):
        response["HX-Reswap"] = SWAPPED
    return response


def is_typing(request: ConsoleRequest) -> bool:
    return bool(request.htmx) and not is_saved_by_hand(request.POST)


def presets_of(request: ConsoleRequest) -> "QuerySet[ChatPreset]":
    return ChatPreset.objects.filter(owner=request.user)


def get_preset(request: ConsoleRequest) -> ChatPreset:
    try:
        pk = uuid.UUID(request.POST.get("preset", ""))
    except ValueError:
        pk = uuid.UUID(int=0)
    if (found := presets_of(request).filter(pk=pk).first()) is None:
        raise NotAllowedNow(_("This preset was deleted. Choose another one."))
    return found


@require_POST
def save_preset(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    talk, form = visible_conversation(request, pk), PresetForm(request.POST)
    if form.is_valid():
        try:
            presets.save(request.user, form.cleaned_data["name"], talk)
            return render_presets(request, talk, PresetForm())
        except NotAllowedNow as error:
            form.add_error("name", str(error))
    return render_presets(request, talk, form)


def render_presets(request: ConsoleRequest, talk: Conversation, form: PresetForm) -> HttpResponse:
    status = 422 if form.errors else 200
    if request.htmx:
        context = {"conversation": talk, "preset_form": form, "presets": presets_of(request)}
        response = render(request, "chat/presets.html", context, status=status)
        if not form.is_bound:
            response["HX-Reswap"] = SWAPPED
        return response
    if form.errors:
        return page(request, talk, status=status, preset_form=form)
    return hx_redirect(request, "chat-conversation", talk.pk)


@require_POST
def use_preset(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    talk = visible_conversation(request, pk)
    chosen = get_preset(request)
    presets.apply(chosen, talk)
    messages.info(request, _("Preset %(name)s applies from the next message on") % {"name": chosen.name})
    return hx_redirect(request, "chat-conversation", pk)


@require_POST
def delete_preset(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    talk = visible_conversation(request, pk)
    presets.delete(get_preset(request))
    return render_presets(request, talk, PresetForm())
