"""A notification as chat services take it. Names and reasons are text there: none of it becomes a mention, a link or
markup, and nothing is longer than the service takes."""

import re
from collections.abc import Callable
from typing import Any

import httpx
from django.utils.translation import gettext as _

from jobs.models import Notification, NotificationChoice, WebhookFormat

SLACK_TEXT = 3000
DISCORD_TITLE, DISCORD_TEXT = 256, 4096
# A message of Teams holds 28 KB, and a letter may take four bytes, or six as JSON.
TEAMS_TEXT = 2000
# Control characters, and those that turn the direction of what follows.
UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
DISCORD_MARKS = set("\\*_~`|>#-+=[]()<!:&.")
ZERO_WIDTH = "\u200b"
HOSTS = {
    WebhookFormat.SLACK: ("hooks.slack.com", "hooks.slack-gov.com"),
    WebhookFormat.TEAMS: ("webhook.office.com", "logic.azure.com", "api.powerplatform.com"),
    WebhookFormat.DISCORD: ("discord.com", "discordapp.com"),
}


def format_of(choice: NotificationChoice) -> str:
    """As chosen, else what the host of the address takes."""
    return choice.webhook_format or detect_format(choice.webhook_url)


def detect_format(address: str) -> str:
    try:
        host = httpx.URL(address).host.rstrip(".").lower()
    except httpx.InvalidURL:
        return WebhookFormat.JSON
    for kind, names in HOSTS.items():
        if any(host == name or host.endswith(f".{name}") for name in names):
            return kind
    return WebhookFormat.JSON


def message(kind: str, notification: Notification, url: str) -> dict[str, Any]:
    """`url` may be empty: the console does not know its own address then."""
    return MESSAGES[kind](notification.title, notification.detail, url)


def _slack(title: str, detail: str, url: str) -> dict[str, Any]:
    """`plain_text` has no markup. `text`, which is read out and shown in lists, has, so it is escaped."""
    texts = [_clip(text, SLACK_TEXT) for text in (title, detail) if text.strip()]
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}} for text in texts
    ]
    if url:
        link = f"<{_escape_slack(url).replace('|', '%7C')}|{_escape_slack(_('Open in the console'))}>"
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": link}})
    text = _clip(title, SLACK_TEXT, _escape_slack)
    return {"text": text, "blocks": blocks, "parse": "none", "link_names": False, "unfurl_links": False}


def _teams(title: str, detail: str, url: str) -> dict[str, Any]:
    """A RichTextBlock has no markup, unlike a TextBlock."""
    body = [_rich_text(title, weight="Bolder")] + ([_rich_text(detail)] if detail.strip() else [])
    actions = [{"type": "Action.OpenUrl", "title": _("Open in the console"), "url": url}] if url else []
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": actions,
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": card}]}


def _rich_text(text: str, **style: str) -> dict[str, Any]:
    """Cards read {{DATE(…)}} and ${…} in any text."""
    plain = _clip(text, TEAMS_TEXT, lambda letter: letter + ZERO_WIDTH if letter in "{$" else letter)
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": plain, **style}]}


def _discord(title: str, detail: str, url: str) -> dict[str, Any]:
    embed = {"title": _clip(title, DISCORD_TITLE, _escape_discord)}
    if detail.strip():
        embed["description"] = _clip(detail, DISCORD_TEXT, _escape_discord)
    if url:
        embed["url"] = url
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _escape_slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _escape_discord(letter: str) -> str:
    if letter == "@":
        return f"@{ZERO_WIDTH}"
    return f"\\{letter}" if letter in DISCORD_MARKS else letter


def _clip(text: str, most: int, escape: Callable[[str], str] = str) -> str:
    """At most so long as it is sent, counted as JavaScript does, and never cut inside of what one letter became."""
    made: list[str] = []
    length = 0
    for letter in UNSEEN.sub(" ", text).strip():
        piece = escape(letter)
        units = len(piece.encode("utf-16-le", "replace")) // 2
        if length + units > most - 1:
            return "".join(made).rstrip() + "…"
        made.append(piece)
        length += units
    return "".join(made)


MESSAGES: dict[str, Callable[[str, str, str], dict[str, Any]]] = {
    WebhookFormat.SLACK: _slack, WebhookFormat.TEAMS: _teams, WebhookFormat.DISCORD: _discord,
}  # fmt: skip
