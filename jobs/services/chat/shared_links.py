"""Links that show one branch, as it stood, to whoever has them."""

import hashlib
import secrets

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from jobs.models import Conversation, ShareLink
from jobs.services import audit

from . import policies


def share(conversation: Conversation) -> tuple[ShareLink, str]:
    """The link and its token, which is not kept and cannot be shown again."""
    head = conversation.head
    policies.check_can_share(head, active(conversation).count())
    assert head is not None
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        link = ShareLink.objects.create(conversation=conversation, head=head, token_hash=_hash(token))
        audit.record("chat.share", conversation)
    return link, token


def active(conversation: Conversation) -> "QuerySet[ShareLink]":
    return ShareLink.objects.filter(conversation=conversation, revoked_at=None)


def links_of(owner: User) -> "QuerySet[ShareLink]":
    """Newest first, the revoked ones left out."""
    rows = ShareLink.objects.filter(conversation__owner=owner, revoked_at=None)
    return rows.select_related("conversation").order_by("-created_at")


def find(token: str) -> ShareLink | None:
    found = ShareLink.objects.filter(token_hash=_hash(token), revoked_at=None, conversation__owner__is_active=True)
    return found.select_related("conversation").first()


def revoke(link: ShareLink) -> None:
    """For good. Revoking again changes nothing."""
    with transaction.atomic():
        ShareLink.objects.filter(pk=link.pk, revoked_at=None).update(revoked_at=timezone.now())
        audit.record("chat.unshare", link)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
