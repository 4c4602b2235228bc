"""The pages by which an administrator imports a model."""

import html
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs.models import ModelImport
from jobs.services.catalogue import policies, publisher_models
from jobs.services.catalogue.hub import imports
from tests.fakes import FakeGateway
from tests.support import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("with_imports")]
NEW = "/model-garden/import/"


@pytest.fixture
def visitor(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def words(response: Any) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def page_of(row: ModelImport, action: str = "detail") -> str:
    return reverse(f"model-import-{action}", args=[row.pk])


def work(row: ModelImport) -> None:
    ModelImport.objects.update(lease_until=None)
    imports.advance(row.pk, timezone.now())
    row.refresh_from_db()


def test_from_the_form_to_the_model(visitor: Client, fake_gateway: FakeGateway) -> None:
    assert 'href="/model-garden/import/"' in visitor.get("/model-garden/").content.decode()
    response = visitor.post(NEW, {"source": "acme/Tiny", "token": "hf_secret"})
    row = ModelImport.objects.get()
    assert (response.status_code, response["Location"]) == (303, page_of(row))
    assert "Reading what the repository holds…" in words(visitor.get(page_of(row)))
    work(row)
    shown = words(visitor.get(page_of(row)))
    for text in ("4.8 MB", "1,300,000", "Llama", "apache-2.0", "Tuning and deployment", "2 files", "Download"):
        assert text in shown
    assert "hf_secret" not in shown
    visitor.post(page_of(row, "download"))
    work(row)
    fake_gateway.imports.set(row.pk, "RUNNING", stage="fetching", done=2_500_000, total=5_000_000)
    work(row)
    assert "Downloading… 2.4 MB of 4.8 MB" in words(visitor.get(page_of(row)))
    fake_gateway.imports.set(row.pk, "DONE", model="google/gemma3@gemma-3-270m")
    work(row)
    assert "Adding it to the catalogue…" in words(visitor.get(page_of(row)))
    publisher_models.sync(timezone.now())
    page = visitor.get(page_of(row)).content.decode()
    assert "/publishers/google/model-garden/gemma3/?variant=gemma-3-270m" in page
    assert "every 2s" not in page


def test_what_is_typed_wrong_is_said_beside_its_field(visitor: Client) -> None:
    response = visitor.post(NEW, {"source": "gpt2", "token": "a b"}, headers={"HX-Request": "true"})
    shown = words(response)
    assert response.status_code == 422
    assert "Enter organization/model, such as Qwen/Qwen3-0.6B" in shown
    assert "A token has no spaces and only ASCII characters." in shown
    assert 'value="a b"' not in response.content.decode()


def test_a_failure_says_why_and_takes_a_token(visitor: Client, fake_gateway: FakeGateway) -> None:
    row = factories.model_import(state="FAILED", error="acme/Tiny is gated.")
    page = visitor.get(page_of(row))
    assert "acme/Tiny is gated." in words(page)
    assert 'name="token"' in page.content.decode()
    response = visitor.post(page_of(row, "resume"), {"token": "hf_secret"})
    row.refresh_from_db()
    assert (response.status_code, row.state) == (303, "LOOKING")


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"licence": ""}, "Its publisher names no licence."),
        ({"licence": "cc-by-nc-nd-4.0"}, "Its licence forbids commercial use."),
        ({"licence": "cc-by-nd-4.0"}, "Its licence forbids sharing changed versions"),
        ({"gated": True}, "Its publisher grants access to each person separately."),
        ({"chat_template": False}, "It has no chat template"),
        ({"model": "hf-acme/tiny@001"}, "These files are here already, as hf-acme/tiny@001."),
        ({"needed": 2**40, "free": 2**30}, "Make room on it first."),
        ({"tunable": False}, "This version of the console can't tune models of this family."),
        ({"file": "a.gguf"}, "A GGUF file can be deployed."),
    ],
)
def test_what_helps_to_decide_is_said(visitor: Client, fake_gateway: FakeGateway, facts, sentence) -> None:
    fake_gateway.imports.facts = facts
    row = imports.begin(factories.owner(), "acme/Tiny")
    work(row)
    assert sentence in words(visitor.get(page_of(row)))


def test_while_one_of_several_files_fits_there_is_room(visitor: Client) -> None:
    choices = [{"name": "a-Q2.gguf", "size": 2**30}, {"name": "a-Q4_K_M.gguf", "size": 5 * 2**30}]
    facts = {"choices": choices, "file": "a-Q4_K_M.gguf", "needed": 6 * 2**30, "free": 3 * 2**30, "size": 1}
    row = factories.model_import(state="FOUND", facts=facts)
    assert "Make room on it first." not in words(visitor.get(page_of(row)))
    ModelImport.objects.update(facts=facts | {"free": 2**30})
    assert "Make room on it first." in words(visitor.get(page_of(row)))


def test_who_was_slower_is_told(visitor: Client) -> None:
    row = factories.model_import(state="READY")
    response = visitor.post(page_of(row, "pause"))
    assert (response.status_code, "The import has moved on in the meantime." in words(response)) == (409, True)


def test_others_see_why_they_cannot_import(client: Client, team_mate: User) -> None:
    client.force_login(team_mate)
    response = client.get(NEW)
    assert "Only an administrator can import models." in words(response)
    assert "<form" not in response.content.decode().split("<main")[1].split("</main>")[0]
    assert client.post(NEW, {"source": "acme/Tiny"}).status_code == 422
    assert not ModelImport.objects.exists()


def test_on_google_cloud_the_page_says_where_the_models_are(visitor: Client, settings) -> None:
    settings.VERTEX_API_ENDPOINT = ""
    assert "On Google Cloud, the models of Hugging Face are in its own Model Garden already." in words(visitor.get(NEW))


def test_cancelling_says_that_nothing_was_added(visitor: Client) -> None:
    row = factories.model_import(state="FOUND")
    response = visitor.post(page_of(row, "cancel"), follow=True)
    assert words(response).count("Cancelled. Nothing was added.") == 1


def test_an_import_of_somebody_else_is_not_there(visitor: Client, team_mate: User) -> None:
    row = factories.model_import(owner=team_mate)
    assert visitor.get(page_of(row)).status_code == 404


def test_an_imported_model_is_deployed_by_its_name_and_tuned_here(visitor: Client) -> None:
    """Its version is a mere number."""
    values = {"publisher": "hf-acme", "family": "tiny", "version": "001", "display_name": "Tiny", "can_tune": True}
    model = factories.publisher_model(name="hf-acme/tiny@001", **values)
    page = visitor.get("/publishers/hf-acme/model-garden/tiny/?action=deploy").content.decode()
    assert 'value="tiny-mg-one-click-deploy"' in page
    assert policies.why_not_tune(model) == ""
