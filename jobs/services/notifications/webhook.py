"""Posts a notification to an address of its owner, signed as https://www.standardwebhooks.com says."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import socket
from datetime import datetime
from typing import Any

import httpx
from django.conf import settings

from jobs import addresses
from jobs.models import Delivery, Notification, NotificationChoice, Problem, WebhookFormat

from . import webhook_address, webhook_formats
from .delivery_errors import NotDelivered

CONNECT_SECONDS = 5
PREFIX = "whsec_"
LARGEST_REASON = 2000


def secret_of(choice: NotificationChoice) -> str:
    """It is in no database: who has a copy of that can sign nothing."""
    return PREFIX + base64.b64encode(_key(choice)).decode()


def new_nonce() -> str:
    return secrets.token_urlsafe(32)


def _key(choice: NotificationChoice) -> bytes:
    made_of = f"console.webhook:{choice.user_id}:{choice.webhook_nonce}"
    return hmac.digest(settings.SECRET_KEY.encode(), made_of.encode(), hashlib.sha256)


def signature(key: bytes, delivery_id: str, timestamp: int, body: bytes) -> str:
    signed = b"%s.%d.%s" % (delivery_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def body_of(notification: Notification, kind: str = WebhookFormat.JSON) -> bytes:
    """The same bytes at every try, for as long as the owner's language is the same."""
    if kind in webhook_formats.MESSAGES:
        content = webhook_formats.message(kind, notification, link(notification))
        return json.dumps(content, ensure_ascii=False).encode()
    facts = dict(notification.facts)
    facts["reason"] = str(facts.get("reason", ""))[:LARGEST_REASON]
    content = {
        "type": notification.kind,
        "timestamp": notification.created_at.isoformat(),
        "text": notification.title,
        "data": {
            "notification": str(notification.pk),
            "subject": notification.subject,
            "id": str(notification.subject_id),
            **{name: value for name, value in facts.items() if value},
            "url": link(notification),
        },
    }
    return json.dumps(content, ensure_ascii=False).encode()


def link(notification: Notification) -> str:
    """Leads on to what it is about, and marks it as read; empty where the console does not know its own address."""
    return addresses.with_host("notification", str(notification.pk))


def send(delivery: Delivery, choice: NotificationChoice, now: datetime) -> None:
    if not choice.webhook_url or not choice.webhook_nonce:
        raise NotDelivered(Problem.NOT_SET_UP, for_good=True)
    try:
        url = webhook_address.parse_url(choice.webhook_url)
        found = webhook_address.addresses(url)
    except webhook_address.BadAddress:
        raise NotDelivered(Problem.NOT_PUBLIC, choice.webhook_url, for_good=True) from None
    except webhook_address.NotPublic as error:
        raise NotDelivered(Problem.NOT_PUBLIC, str(error), for_good=True) from None
    except (socket.gaierror, UnicodeError):
        raise NotDelivered(Problem.NO_SUCH_NAME, url.host) from None
    body = body_of(delivery.notification, webhook_formats.format_of(choice))
    timestamp = int(now.timestamp())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"GardenConsole/{settings.VERSION}",
        "webhook-id": str(delivery.pk),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(_key(choice), str(delivery.pk), timestamp, body),
    }
    _judge(asyncio.run(_post(url, found, headers, body)))


def _judge(status: int) -> None:
    if 200 <= status < 300:
        return
    if status == 410:
        raise NotDelivered(Problem.GONE, for_good=True)
    raise NotDelivered(Problem.REDIRECT if 300 <= status < 400 else Problem.ANSWER, str(status))


async def _post(url: httpx.URL, found: list[str], headers: dict[str, str], body: bytes) -> int:
    try:
        async with asyncio.timeout(settings.WEBHOOK_TIMEOUT):
            return await _first_that_connects(url, found, headers, body)
    except (TimeoutError, httpx.TimeoutException):
        raise NotDelivered(Problem.TIMEOUT, str(settings.WEBHOOK_TIMEOUT)) from None
    except httpx.TransportError as error:
        raise NotDelivered(Problem.UNREACHABLE, type(error).__name__) from None


async def _first_that_connects(url: httpx.URL, found: list[str], headers: dict[str, str], body: bytes) -> int:
    """Nothing was sent to an address that did not take the connection, so the next one may be tried."""
    timeout = httpx.Timeout(settings.WEBHOOK_TIMEOUT, connect=CONNECT_SECONDS)
    async with httpx.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=False) as client:
        for address in found[:-1]:
            try:
                return await _ask(client, url, address, headers, body)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await _ask(client, url, found[-1], headers, body)


async def _ask(client: httpx.AsyncClient, url: httpx.URL, address: str, headers: dict[str, str], body: bytes) -> int:
    """The certificate must be the name's, although the connection goes to the address. Of the answer only the status
    is looked at."""
    named = {"Host": url.netloc.decode("ascii"), **headers}
    extensions: dict[str, Any] = {"sni_hostname": url.raw_host.decode("ascii")}
    there = url.copy_with(host=address)
    async with client.stream("POST", there, content=body, headers=named, extensions=extensions) as response:
        return response.status_code
