"""What Slack, Teams and Discord are sent: names are text there, and no text is longer than they take."""

import json
import re

import pytest
from django.utils import timezone

from jobs.models import Delivery, NotificationChoice
from jobs.services.notifications import webhook, webhook_formats
from tests.support import factories
from tests.support.receivers import receiving

pytestmark = pytest.mark.django_db
URL = "https://console.example/notifications/1/"
HOSTILE = [
    "@everyone <!channel> <@U1> <!here|x>",
    "[free money](https://evil.example) <https://evil.example|click>",
    "**bold** `code` ```block``` ~~gone~~ ||spoiler|| # heading\n> quote",
    "{{DATE(2026-01-01T00:00:00Z, SHORT)}} ${secret} <at>Everybody</at>",
    "\u202egnp.exe \u2066hidden\u2069 \x07",
    "& &amp; < > \\",
    "x" * 20_000,
    "@" * 20_000,
    "<" * 20_000,
    "😀" * 20_000,
]


def create_notice(name="My model", reason="The data is bad."):
    facts = {"name": name, "reason": reason, "state": "FAILED"}
    return factories.notification(kind="tuning.failed", facts=facts)


def build_message(kind, name, url=URL):
    return webhook_formats.message(kind, create_notice(name, name), url)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("https://hooks.slack.com/services/T/B/x", "slack"),
        ("https://prod-1.westeurope.logic.azure.com:443/workflows/x", "teams"),
        ("https://x.environment.api.powerplatform.com/x", "teams"),
        ("https://discord.com/api/webhooks/1/x", "discord"),
        ("https://PTB.Discord.com/api/webhooks/1/x", "discord"),
        ("https://notdiscord.com/hook", "json"),
        ("https://hooks.slack.com.evil.example/x", "json"),
        ("https://hook.example/discord.com", "json"),
        ("", "json"),
    ],
)
def test_the_host_tells_the_format(address, kind):
    assert webhook_formats.format_of(NotificationChoice(webhook_url=address)) == kind


def test_a_choice_wins_over_the_host():
    choice = NotificationChoice(webhook_url="https://hooks.slack.com/x", webhook_format="json")
    assert webhook_formats.format_of(choice) == "json"


def test_slack_gets_text_and_blocks():
    title, detail, link = build_message("slack", "My model")["blocks"]
    assert title == {
        "type": "section", "text": {"type": "plain_text", "text": "Tuning My model failed", "emoji": False},
    }  # fmt: skip
    assert detail["text"]["text"] == "My model"
    assert link["text"] == {"type": "mrkdwn", "text": f"<{URL}|Open in the console>"}


def test_teams_gets_an_adaptive_card():
    [attachment] = build_message("teams", "My model")["attachments"]
    card = attachment["content"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert card["body"][0]["inlines"] == [{"type": "TextRun", "text": "Tuning My model failed", "weight": "Bolder"}]
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Open in the console", "url": URL}]


def test_discord_gets_an_embed_that_mentions_nobody():
    assert build_message("discord", "My model") == {
        "embeds": [{"title": "Tuning My model failed", "description": "My model", "url": URL}],
        "allowed_mentions": {"parse": []},
    }


@pytest.mark.threat("T8")
@pytest.mark.parametrize("name", HOSTILE)
def test_slack_reads_no_markup_in_a_name(name):
    content = build_message("slack", name, "")
    assert (content["parse"], content["link_names"]) == ("none", False)
    assert [block["text"]["type"] for block in content["blocks"]] == ["plain_text", "plain_text"]
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", content["text"])
    assert max(len(text) for text in texts_of(content)) <= 3000


@pytest.mark.threat("T8")
@pytest.mark.parametrize("name", HOSTILE)
def test_discord_reads_no_markup_in_a_name(name):
    content = build_message("discord", name, "")
    [embed] = content["embeds"]
    bare = re.sub(r"\\[^\w\s]", "", embed["title"] + embed["description"])
    assert not re.search(r"[\[\]()<>*_~`|#]|@(?!\u200b)", bare)
    assert (len(embed["title"]) <= 256, len(embed["description"]) <= 4096) == (True, True)
    assert content["allowed_mentions"] == {"parse": []}


@pytest.mark.threat("T8")
@pytest.mark.parametrize("name", HOSTILE)
def test_teams_reads_no_markup_in_a_name(name):
    content = build_message("teams", name, "")
    card = content["attachments"][0]["content"]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert not any("{{" in text or "${" in text for text in texts_of(card["body"]))
    assert "msteams" not in card
    assert len(json.dumps(content, ensure_ascii=False).encode()) < 28_000


@pytest.mark.parametrize("kind", ["slack", "teams", "discord"])
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_turns_the_direction_of_what_follows(kind, name):
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x07]", json.dumps(build_message(kind, name), ensure_ascii=False))


def texts_of(value):
    if isinstance(value, str):
        return [value]
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for one in inside for text in texts_of(one)]


@pytest.mark.parametrize("kind", ["slack", "teams", "discord"])
def test_every_format_is_signed(kind, owner, settings):
    settings.WEBHOOK_PRIVATE = True
    delivery = Delivery.objects.create(notification=create_notice(), way="webhook")
    with receiving() as receiver:
        choice = NotificationChoice(user=owner, webhook_url=receiver.url, webhook_nonce="n", webhook_format=kind)
        webhook.send(delivery, choice, timezone.now())
    [(headers, body)] = receiver.requests
    assert json.loads(body) == webhook_formats.message(kind, delivery.notification, webhook.link(delivery.notification))
    signed = webhook.signature(webhook._key(choice), str(delivery.pk), int(headers["webhook-timestamp"]), body)
    assert headers["webhook-signature"] == signed
