"""System instructions and parameters under a name."""

from django.contrib.auth.models import User
from django.db import transaction

from jobs.models import ChatPreset, Conversation

from . import conversations, policies
from .parameters import only_taken


def save(owner: User, name: str, conversation: Conversation) -> ChatPreset:
    """What the conversation is set to. A preset of the same name is replaced."""
    values = {"system_instruction": conversation.system_instruction, "parameters": conversation.parameters}
    with transaction.atomic():
        mine = ChatPreset.objects.filter(owner=owner)
        if not mine.filter(name=name).exists():
            policies.check_can_add_preset(mine.count())
        return ChatPreset.objects.update_or_create(owner=owner, name=name, defaults=values)[0]


def apply(preset: ChatPreset, conversation: Conversation) -> None:
    """Without the parameters that this endpoint does not take."""
    parameters = only_taken(preset.parameters, conversation.endpoint)
    conversations.set_options(conversation, system_instruction=preset.system_instruction, parameters=parameters)


def delete(preset: ChatPreset) -> None:
    preset.delete()
