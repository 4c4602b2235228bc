"""People with chats, for tests.bench.chat: `python -m tests.bench.chat_seed PEOPLE CHATS`, with the console's
CONSOLE_DATA_DIR in the environment. Prints a session and the ids of empty chats for each person, as JSON."""

import json
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402  # models are there only after setup()
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402

from console.web.sessions import SessionStore  # noqa: E402
from jobs.models import Conversation  # noqa: E402
from tests.support import factories  # noqa: E402


def person(number: int, chats: int) -> dict[str, object]:
    user = factories.user(username=f"bench-{number}")
    session = SessionStore()
    session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session.save()
    endpoint = factories.ready_endpoint(owner=user, next_check_at=None)
    talks = Conversation.objects.bulk_create(Conversation(owner=user, endpoint=endpoint) for _ in range(chats))
    return {"session": session.session_key, "chats": [str(talk.pk) for talk in talks]}


if __name__ == "__main__":
    people, chats = map(int, sys.argv[1:])
    print(json.dumps([person(number, chats) for number in range(people)]))
