from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class ConsoleConfig(AppConfig):
    name = "console"

    def ready(self) -> None:
        from console.sessions import note_sign_in  # noqa: PLC0415  # models are not there before

        user_logged_in.connect(note_sign_in)
