"""A deployment that does not fit into the memory of this computer, and the context that does."""

from dataclasses import asdict

import pytest
from django.utils import timezone

from jobs.models import Endpoint, PublisherModel
from jobs.vertex.machine import Memory
from tests.console.views.catalogue.test_model_detail import URL, typed
from tests.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed_in(client, owner, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    client.force_login(owner)
    contexts = {2048: 4 * 10**8, 8192: 7 * 10**8}
    told = asdict(Memory(10**9, 5 * 10**8, contexts, 1, {}, {"q4_k_m": {2048: 10**8, 8192: 45 * 10**7}}))
    model = factories.publisher_model(display_name="Gemma 3 270M", licence_acknowledged=False)
    told |= {"told_at": timezone.now().isoformat()}
    PublisherModel.objects.filter(pk=model.pk).update(data=model.data | {"memory": told})
    return client


def test_the_panel_says_what_fits(signed_in):
    page = signed_in.get(f"{URL}?action=deploy").content.decode()
    assert "needs about 700 MB of memory, and 500 MB are free. It fits with a context of 2048 tokens." in page
    assert 'value="context:2048"' in page


def test_it_is_refused_and_one_click_deploys_what_fits(signed_in):
    refused = signed_in.post(f"{URL}deploy/", typed())
    assert refused.status_code == 422
    assert not Endpoint.objects.exists()
    assert signed_in.post(f"{URL}deploy/", typed(action="context:2048")).status_code == 303
    assert Endpoint.objects.get().model.serving_options == {"context_tokens": 2048}


def test_what_is_chosen_in_the_form_counts(signed_in):
    """While the panel is open, and when it is sent."""
    for asked in ({"precision": "q4_k_m"}, {"context_tokens": "2048"}):
        page = signed_in.get(URL, {"action": "deploy"} | asked).content.decode()
        assert ("Fits: needs about" in page, "fit: needs about" in page) == (True, False)
    page = signed_in.get(URL, {"action": "deploy", "context_tokens": "x"}).content.decode()
    assert "fit: needs about 700 MB" in page
    assert signed_in.post(f"{URL}deploy/", typed(precision="q4_k_m")).status_code == 303
    assert Endpoint.objects.get().model.serving_options == {"precision": "q4_k_m"}


def test_no_context_is_nonsense(signed_in):
    answer = signed_in.post(f"{URL}deploy/", typed(action="context:9"))
    assert answer.status_code == 422
    assert "Enter a whole number of tokens from 512 to 8192." in answer.content.decode()


def describe_card(**changes):
    contexts = {2048: 4 * 10**8, 8192: 7 * 10**8}
    told = asdict(Memory(10**9, 9 * 10**8, contexts, 1, {}, cards=("NVIDIA L4",), room_on_cards=8 * 10**8))
    for model in PublisherModel.objects.all():
        model.data["memory"] = told | {"told_at": timezone.now().isoformat()} | changes
        model.save()


def test_the_panel_names_the_card_that_serves(signed_in):
    describe_card()
    page = signed_in.get(f"{URL}?action=deploy").content.decode()
    assert "Fits: needs about 700 MB of the memory of NVIDIA L4, and 800 MB are free." in page
    describe_card(room_on_cards=3 * 10**8)
    page = signed_in.get(f"{URL}?action=deploy").content.decode()
    assert "Fits, but not on the GPU alone: needs about 700 MB of memory, and 300 MB are free on NVIDIA L4." in page


def test_what_the_card_has_no_room_for_is_refused_and_one_click_deploys_what_fits(signed_in):
    describe_card(room=5 * 10**8, room_on_cards=3 * 10**8)
    page = signed_in.get(f"{URL}?action=deploy").content.decode()
    assert "On NVIDIA L4, 300 MB are free, and 200 MB for what the CPU computes." in page
    assert 'value="context:2048"' in page
    assert signed_in.post(f"{URL}deploy/", typed()).status_code == 422
    assert signed_in.post(f"{URL}deploy/", typed(action="context:2048")).status_code == 303
    assert Endpoint.objects.get().model.serving_options == {"context_tokens": 2048}
