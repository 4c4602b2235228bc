"""Who shares a limit: a person who signed in, wherever from; everybody else by address.

A cookie proves nothing until the database has been asked. What it answered is believed for five minutes: these are
limits, not permissions, and Django asks again for every page.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from typing import Final, TypeVar

from django.conf import settings
from django.contrib.auth import get_user
from django.db import close_old_connections
from django.http import HttpRequest

from console.web.streams import Scope, session_of

from .connections import network_of

Question = TypeVar("Question")
Answer = TypeVar("Answer")
BELIEVED_SECONDS: Final = 300
KNOWN: Final = 10_000
# Apart from the threads of the pages: it decides who may wait for those.
askers = ThreadPoolExecutor(2, "session")


def find_person(session: str) -> str:
    """Empty if the session is over or was none; takes two queries."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session)
    user = get_user(request)
    return str(user.pk) if user.is_authenticated else ""


def call_with_database(find: Callable[[Question], Answer], question: Question) -> Answer:
    """As Django does around a request: a connection that broke is replaced by a new one."""
    close_old_connections()
    try:
        return find(question)
    finally:
        close_old_connections()


async def ask(find: Callable[[Question], Answer], question: Question) -> Answer:
    """Raises DatabaseError."""
    return await asyncio.get_running_loop().run_in_executor(askers, call_with_database, find, question)


@dataclass
class Clients:
    find: Callable[[str], str] = find_person
    known: OrderedDict[str, tuple[str, float]] = field(default_factory=OrderedDict)

    def name(self, scope: Scope) -> str:
        """Under which name its share is counted. Asks nobody."""
        if person := self.person(session_of(scope)):
            return f"person {person}"
        return f"address {network_of((scope.get('client') or ('',))[0])}"

    def person(self, session: str) -> str:
        person, until = self.known.get(session, ("", 0.0))
        return person if until > time.monotonic() else ""

    async def has_session(self, scope: Scope) -> bool:
        session = session_of(scope)
        if not session or self.person(session):
            return bool(session)
        person = await ask(self.find, session)
        self.learn(session, person)
        return bool(person)

    def learn(self, session: str, person: str) -> None:
        if not session or not person:
            return
        self.known[session] = person, time.monotonic() + BELIEVED_SECONDS
        self.known.move_to_end(session)
        while len(self.known) > KNOWN:
            self.known.popitem(last=False)
