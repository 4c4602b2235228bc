"""What a person chose for themselves: proposals of forms, looks, keys."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from console.context_processors import theme_of
from console.forms.settings import AppearanceForm, DefaultsForm, KeysForm
from console.presenters.tuning.wizard.review import machines_with_prices
from console.web.http import ConsoleRequest
from jobs.errors import NotAllowedNow
from jobs.models import Theme, preference_of
from jobs.services.accounts import preferences
from jobs.services.storage import policies

from .preferences import set_cookies

READ_OR_SEND = ["GET", "HEAD", "POST"]


@require_http_methods(READ_OR_SEND)
def defaults(request: ConsoleRequest) -> HttpResponse:
    root = policies.output_root(request.user)
    form = DefaultsForm(
        request.POST or None, initial=first_defaults(request), machines=machines_with_prices(), output_root=root
    )
    if form.is_bound and form.is_valid():
        folder, machine = form.cleaned_data["output_prefix"], form.cleaned_data["machine_type"]
        try:
            preferences.save_defaults(request.user, output_prefix=folder, machine_type=machine, chat=form.chat())
            return success_response(request, "settings-defaults")
        except NotAllowedNow as error:
            form.add_error("output_prefix", str(error))
    return render_form(request, "settings/defaults.html", form)


def first_defaults(request: ConsoleRequest) -> dict[str, Any]:
    """What is kept, with the folder that was chosen just now."""
    chosen = {name: request.GET[name] for name in ("output_prefix",) if name in request.GET}
    return load_defaults(request.user) | chosen


def load_defaults(user: User) -> dict[str, Any]:
    kept = preference_of(user).defaults
    return {**kept.get(preferences.CHAT, {}), **kept}


@require_http_methods(READ_OR_SEND)
def appearance(request: ConsoleRequest) -> HttpResponse:
    own = preference_of(request.user)
    first = {
        "theme": own.theme or theme_of(request) or Theme.SYSTEM, "density": own.density, "language": own.language,
        "reduces_motion": own.reduces_motion, "time_zone": own.time_zone,
    }  # fmt: skip
    form = AppearanceForm(request.POST or None, initial=first)
    if form.is_bound and form.is_valid():
        preferences.save(request.user, **form.cleaned_data)
        response = success_response(request, "settings-appearance")
        return set_cookies(response, theme=form.cleaned_data["theme"], language=form.cleaned_data["language"])
    return render_form(request, "settings/appearance.html", form)


@require_http_methods(READ_OR_SEND)
def keys(request: ConsoleRequest) -> HttpResponse:
    if request.method == "POST":
        form = KeysForm(request.POST)
        form.full_clean()
        preferences.save(request.user, **form.cleaned_data)
        return success_response(request, "settings-keys")
    return render(request, "settings/keys.html", {"keys": keys_form(request)})


def keys_form(request: ConsoleRequest) -> KeysForm:
    own = preference_of(request.user)
    return KeysForm(initial={"single_keys": own.single_keys, "enter_sends": own.enter_sends})


def success_response(request: ConsoleRequest, view: str) -> HttpResponse:
    messages.success(request, _("Saved"))
    response = redirect(view)
    response.status_code = 303
    return response


def render_form(request: ConsoleRequest, template: str, form: Any) -> HttpResponse:
    return render(request, template, {"form": form}, status=422 if form.is_bound else 200)
