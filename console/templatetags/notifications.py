from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from console.templatetags.console import BAD, DONE, OFF, RUNNING, WAITING, Look, icon
from jobs.models import DeliveryState, NotificationKind

register = template.Library()
K = NotificationKind
LOOKS = {
    K.TUNING_SUCCEEDED: DONE,
    K.TUNING_FAILED: BAD,
    K.TUNING_CANCELLED: OFF,
    K.TUNING_UNDECIDED: Look("warning", "warn"),
    K.ENDPOINT_READY: DONE,
    K.ENDPOINT_FAILED: BAD,
    K.ENDPOINT_SCALED: DONE,
    K.ENDPOINT_UNDEPLOYED: OFF,
    K.ENDPOINT_DELETED: OFF,
    K.ENDPOINT_IDLE: Look("warning", "warn"),
    K.ENDPOINT_ENDING: Look("warning", "warn"),
    K.MODEL_READY: DONE,
    K.MODEL_FAILED: BAD,
    K.MODEL_UNDEPLOYED: OFF,
    K.DATASET_MADE: DONE,
    K.IMPORT_SUCCEEDED: DONE,
    K.IMPORT_FAILED: BAD,
    K.TEST: Look("notifications", "off"),
}
PARTLY = Look("warning", "warn")
SENT = {DeliveryState.WAITING: WAITING, DeliveryState.DELIVERED: DONE, DeliveryState.FAILED: BAD}


@register.simple_tag
def notification_icon(notification: object) -> SafeString:
    """The sentence beside it says the same, so it has no text of its own."""
    facts = getattr(notification, "facts", {})
    look = LOOKS[NotificationKind(getattr(notification, "kind", K.TEST))]
    return _render_look(PARTLY if facts.get("state") in ("PARTIALLY_SUCCEEDED", "PAUSED") else look)


@register.simple_tag
def delivery_icon(state: str) -> SafeString:
    return _render_look(SENT[DeliveryState(state)])


@register.simple_tag
def running_icon() -> SafeString:
    return _render_look(RUNNING)


def _render_look(look: Look) -> SafeString:
    return format_html('<span class="st {}">{}</span>', look.look, icon(look.icon))
