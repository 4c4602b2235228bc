"""What a person chose for themselves: proposals of forms, looks, keys, password."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.contrib.auth.models import User
from django.core.cache import cache
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from console.context_processors import theme_of
from console.forms.settings import AppearanceForm, DefaultsForm, KeysForm
from console.http import ConsoleRequest
from jobs.errors import NotAllowedNow
from jobs.models import PublisherModel, Theme, preference_of
from jobs.services import preferences
from jobs.services.storage import policies

from .accounts import FAILURES_A_MINUTE, count
from .preferences import remembered
from .wizard_review import machine_with_price

READ_OR_SEND = ["GET", "HEAD", "POST"]


@require_http_methods(READ_OR_SEND)
def defaults(request: ConsoleRequest) -> HttpResponse:
    root = policies.output_root(request.user)
    form = DefaultsForm(request.POST or None, initial=first_defaults(request), machines=machines(), output_root=root)
    if form.is_bound and form.is_valid():
        folder, machine = form.cleaned_data["output_prefix"], form.cleaned_data["machine_type"]
        try:
            preferences.save_defaults(request.user, output_prefix=folder, machine_type=machine, chat=form.chat())
            return saved(request, "settings-defaults")
        except NotAllowedNow as error:
            form.add_error("output_prefix", str(error))
    return answered(request, "settings/defaults.html", form)


def first_defaults(request: ConsoleRequest) -> dict[str, Any]:
    """What is kept, with the folder that was chosen just now."""
    chosen = {name: request.GET[name] for name in ("output_prefix",) if name in request.GET}
    return kept_defaults(request.user) | chosen


def kept_defaults(user: User) -> dict[str, Any]:
    kept = preference_of(user).defaults
    return {**kept.get(preferences.CHAT, {}), **kept}


def machines() -> list[tuple[str, str]]:
    """Those that any model of the catalogue is offered on, with their prices."""
    rows = PublisherModel.objects.listed().values_list("data__machine_specs", flat=True)
    found = {spec["machine_type"]: machine_with_price(spec) for specs in rows for spec in specs or []}
    return sorted(found.items())


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
        response = saved(request, "settings-appearance")
        return remembered(response, theme=form.cleaned_data["theme"], language=form.cleaned_data["language"])
    return answered(request, "settings/appearance.html", form)


@require_http_methods(READ_OR_SEND)
def keys(request: ConsoleRequest) -> HttpResponse:
    if request.method == "POST":
        form = KeysForm(request.POST)
        form.full_clean()
        preferences.save(request.user, **form.cleaned_data)
        return saved(request, "settings-keys")
    return render(request, "settings/keys.html", keys_context(request))


@sensitive_post_parameters()
@require_POST
def password(request: ConsoleRequest) -> HttpResponse:
    """The old one can be tried as seldom as at the sign-in. Other sessions of the account end with it."""
    tries = f"password:{request.user.pk}"
    if count(tries) > FAILURES_A_MINUTE:
        refused = {"refused": _("Too many failed attempts. Wait a minute, then try again.")}
        return render(request, "settings/keys.html", keys_context(request) | refused, status=429)
    form = password_form(request.user, request.POST)
    if not form.is_valid():
        return render(request, "settings/keys.html", keys_context(request, form), status=422)
    update_session_auth_hash(request, form.save())
    cache.delete(tries)
    return saved(request, "settings-keys")


def password_form(user: User, data: Any = None) -> "SetPasswordForm[User]":
    """An account that is entered by links only has no old password to ask for."""
    made = PasswordChangeForm(user, data) if user.has_usable_password() else SetPasswordForm(user, data)
    made.use_required_attribute = False
    for field in made.fields.values():
        field.widget.attrs.pop("autofocus", None)
    return made


def keys_context(request: ConsoleRequest, form: "SetPasswordForm[User] | None" = None) -> dict[str, Any]:
    user = request.user
    own = preference_of(user)
    keys = KeysForm(initial={"single_keys": own.single_keys, "enter_sends": own.enter_sends})
    return {"form": form or password_form(user), "keys": keys, "has_password": user.has_usable_password()}


def saved(request: ConsoleRequest, view: str) -> HttpResponse:
    messages.success(request, _("Saved"))
    response = redirect(view)
    response.status_code = 303
    return response


def answered(request: ConsoleRequest, template: str, form: Any) -> HttpResponse:
    return render(request, template, {"form": form}, status=422 if form.is_bound else 200)
