import pytest

from jobs.errors import NotAllowedNow
from jobs.models import ChatPreset
from jobs.services.chat import presets
from tests.support import factories

pytestmark = pytest.mark.django_db


def test_a_preset_is_used_in_another_chat():
    first = factories.conversation(system_instruction="Be brief.", parameters={"seed": 7})
    second = factories.conversation(parameters={"top_k": 3})
    presets.apply(presets.save(first.owner, "Brief", first), second)
    second.refresh_from_db()
    assert (second.system_instruction, second.parameters) == ("Be brief.", {"seed": 7})


def test_what_the_endpoint_does_not_take_stays_behind():
    preset = ChatPreset.objects.create(owner=factories.owner(), name="All", parameters={"seed": 7, "top_k": 3})
    talk = factories.conversation(endpoint=factories.ready_endpoint(machine_type="ct5lp-hightpu-1t"))
    presets.apply(preset, talk)
    assert talk.parameters == {"top_k": 3}


def test_the_same_name_is_the_same_preset():
    talk = factories.conversation(parameters={"seed": 7})
    presets.save(talk.owner, "Mine", talk)
    talk.parameters = {"seed": 8}
    presets.save(talk.owner, "Mine", talk)
    assert list(ChatPreset.objects.values_list("name", "parameters")) == [("Mine", {"seed": 8})]


def test_fifty_are_the_most_and_one_of_them_may_still_be_replaced():
    talk = factories.conversation()
    ChatPreset.objects.bulk_create(ChatPreset(owner=talk.owner, name=str(number)) for number in range(50))
    with pytest.raises(NotAllowedNow, match="You have 50 presets. Delete one first."):
        presets.save(talk.owner, "One more", talk)
    assert presets.save(talk.owner, "7", talk).name == "7"
