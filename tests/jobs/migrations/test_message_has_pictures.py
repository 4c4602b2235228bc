from importlib import import_module

from django.apps import apps

from jobs.models import Message
from tests.support import factories

migration = import_module("jobs.migrations.0021_message_has_pictures")


def test_messages_from_before_are_looked_through(db):
    talk = factories.conversation()
    with_one, without = factories.message(conversation=talk), factories.message(conversation=talk)
    factories.picture(message=with_one)
    factories.picture()
    Message.objects.update(has_pictures=False)
    migration.look(apps, None)
    assert dict(Message.objects.values_list("pk", "has_pictures")) == {with_one.pk: True, without.pk: False}
