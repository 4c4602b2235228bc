"""Tokens of other services, as rows keep them: sealed with a key that the installation's own is made into."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings


def seal(text: str) -> str:
    return _box().encrypt(text.encode()).decode() if text else ""


def unseal(text: str) -> str:
    """Nothing where it was sealed with another key: then it is asked for again."""
    try:
        return _box().decrypt(text.encode()).decode() if text else ""
    except InvalidToken:
        return ""


def _box() -> Fernet:
    key = hashlib.sha256(b"jobs.services.catalogue.hub.sealing:" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))
