"""Signing in and out. `manage.py up` prints one of these; importing all views for that would take half a second."""

from django.urls import URLPattern, path

from console.views.accounts import accounts, reauthentication

account_urls: list[URLPattern] = [
    path("accounts/sign-in/", accounts.sign_in, name="sign-in"),
    path("accounts/link/<str:token>/", accounts.sign_in_link, name="sign-in-link"),
    path("accounts/confirm/<uuid:pending_id>/", reauthentication.confirm, name="confirm"),
    path("accounts/sign-out/", accounts.sign_out, name="sign-out"),
]
urlpatterns = account_urls
