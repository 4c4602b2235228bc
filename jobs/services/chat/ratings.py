"""What a person thinks of an answer, so that a dataset can be made of the good ones."""

from jobs import live
from jobs.models import Message

from . import policies


def rate(answer: Message, rating: str) -> None:
    """One of `Rating`; empty takes it back. Nothing was said, so the chat keeps its place in the list."""
    policies.check_can_rate(answer)
    answer.rating = rating
    Message.objects.filter(pk=answer.pk).update(rating=rating)
    live.notify(answer.conversation.owner_id, f"chat-{answer.conversation_id}")
