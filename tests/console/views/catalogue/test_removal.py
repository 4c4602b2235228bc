"""The page by which an administrator removes an imported model."""

import html
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from jobs.models import ModelImport, PublisherModel
from jobs.services.catalogue.hub import imports
from tests.fakes import FakeGateway
from tests.support import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("with_imports")]
NAME, MODEL_PAGE = "hf-acme/tiny@001", "/publishers/hf-acme/model-garden/tiny/"
PAGE = f"{MODEL_PAGE}remove/?variant=001"


@pytest.fixture
def visitor(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


@pytest.fixture
def model(owner: User) -> PublisherModel:
    return factories.publisher_model(name=NAME, display_name="Tiny", data={"imported_bytes": 11_000_000})


def words(response: Any) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def make_tuned_job(**values: Any) -> Any:
    return factories.job(**{"base_model": NAME, "state": "SUCCEEDED", "phase": "CLOSED"} | values)


def test_from_the_page_of_the_model_to_the_free_disk(
    visitor: Client, model: PublisherModel, fake_gateway: FakeGateway
) -> None:
    assert f'href="{PAGE}"' in visitor.get(MODEL_PAGE).content.decode()
    assert "That frees 10.5 MB." in words(visitor.get(PAGE))
    response = visitor.post(PAGE, {"model": NAME, "confirm": "Tiny"})
    row = ModelImport.objects.get()
    assert (response.status_code, response["Location"]) == (303, f"/model-garden/imports/{row.pk}/")
    page = visitor.get(response["Location"])
    assert "Removing the model…" in words(page)
    assert "every 2s" in page.content.decode()
    imports.advance(row.pk, timezone.now())
    page = visitor.get(response["Location"])
    assert "The model was removed. That freed 10.5 MB." in words(page)
    assert "every 2s" not in page.content.decode()


def test_a_model_whose_files_are_gone_is_removed_all_the_same(visitor: Client, model: PublisherModel) -> None:
    PublisherModel.objects.update(data={"imported_bytes": 0})
    assert f'href="{PAGE}"' in visitor.get(MODEL_PAGE).content.decode()
    assert visitor.post(PAGE, {"model": NAME, "confirm": "Tiny"}).status_code == 303
    assert ModelImport.objects.get().state == "REMOVING"


def test_without_its_name_nothing_is_removed(visitor: Client, model: PublisherModel) -> None:
    for typed in ({}, {"confirm": "Tin"}):
        response = visitor.post(PAGE, {"model": NAME, **typed})
        assert (response.status_code, ModelImport.objects.exists()) == (422, False)


def test_what_uses_it_is_named_and_nothing_is_asked(visitor: Client, model: PublisherModel) -> None:
    factories.job(base_model=NAME, display_name="Ahoy")
    page = visitor.get(PAGE)
    assert "In use by the job Ahoy. Undeploy the model from endpoints" in words(page)
    assert 'name="confirm"' not in page.content.decode()
    response = visitor.post(PAGE, {"model": NAME, "confirm": "Tiny"})
    assert (response.status_code, ModelImport.objects.exists()) == (422, False)


def test_adapters_that_lose_their_base_are_named_before(visitor: Client, model: PublisherModel) -> None:
    make_tuned_job(result_form="adapter", display_name="Needs it")
    make_tuned_job(result_form="whole", display_name="Merged one")
    make_tuned_job(result_form="whole", tuning_mode="FULL", display_name="On its own")
    make_tuned_job(owner=factories.team_mate(), result_form="adapter", display_name="Secret")
    shown = words(visitor.get(PAGE))
    assert "you can't deploy them until you import it again: Needs it Models of somebody else" in shown
    assert (
        "merged with this model, so you can still deploy them, but not their earlier checkpoints: Merged one" in shown
    )
    assert [name for name in ("Secret", "On its own") if name in shown] == []


def test_what_the_server_refused_is_said_on_the_page_of_the_import(visitor: Client, model: PublisherModel) -> None:
    row = factories.model_import(state="READY", model=NAME, error="It is used by the endpoint X.")
    page = visitor.get(f"/model-garden/imports/{row.pk}/")
    assert "It is used by the endpoint X." in words(page)
    assert f'href="{PAGE}"' in page.content.decode()


def test_a_model_that_was_not_imported_has_no_such_button(visitor: Client) -> None:
    factories.publisher_model()
    page = visitor.get("/publishers/google/model-garden/gemma3/").content.decode()
    assert "/remove/" not in page
    shown = words(visitor.get("/publishers/google/model-garden/gemma3/remove/?variant=gemma-3-270m"))
    assert "Only models that were imported can be removed." in shown


def test_others_see_no_button_and_are_refused(client: Client, team_mate: User, model: PublisherModel) -> None:
    client.force_login(team_mate)
    assert "/remove/" not in client.get(MODEL_PAGE).content.decode()
    response = client.post(PAGE, {"model": NAME, "confirm": "Tiny"})
    assert (response.status_code, ModelImport.objects.exists()) == (422, False)
    assert "Only an administrator can remove models." in words(response)


def test_a_model_that_is_not_there_is_not_found(visitor: Client, model: PublisherModel) -> None:
    assert visitor.get("/publishers/hf-acme/model-garden/other/remove/").status_code == 404
    for named in ("", "hf-acme/tiny@002", "\x00", "x" * 3000):
        assert visitor.post(PAGE, {"model": named, "confirm": "Tiny"}).status_code == 404
