import re
import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from jobs.models import Conversation, Picture
from tests.support import factories
from tests.support.markup import tight
from tests.support.stored import path_of

pytestmark = pytest.mark.django_db
SEES = "google/gemma3@gemma-3-4b-it"
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


@pytest.fixture
def talk():
    return factories.conversation(endpoint=factories.ready_endpoint(base_model=SEES))


def words(response):
    return " ".join(response.content.decode().split())


def file(content=None, name="red.png"):
    return SimpleUploadedFile(name, factories.png() if content is None else content, "image/svg+xml")


def send(visitor, talk, *, text="What is it?", headers=None, **values):
    data = {"key": str(uuid.uuid4()), "text": text, **values}
    return visitor.post(f"/studio/chat/{talk.pk}/send/", data, **(headers or {}))


def test_an_added_picture_is_answered_by_its_thumbnail(visitor, talk):
    response = visitor.post("/studio/chat/pictures/", {"file": file(), "endpoint": talk.endpoint_id})
    picture = Picture.objects.get()
    text = words(response)
    assert (response.status_code, picture.message) == (201, None)
    assert f'<input type="hidden" name="picture" value="{picture.pk}">' in text
    assert (f'src="/studio/chat/pictures/{picture.pk}/"' in text, "Remove red.png" in text) == (True, True)


@pytest.mark.parametrize("where", ["chat", "new", "comparison"])
def test_what_was_added_is_there_when_the_page_is_opened_again(visitor, talk, where):
    comparison = factories.comparison()
    factories.conversation(endpoint=talk.endpoint, comparison=comparison)
    address, box = {
        "chat": (f"/studio/chat/{talk.pk}/", talk.pk),
        "new": ("/studio/chat/", "new"),
        "comparison": (f"/studio/compare/{comparison.pk}/", comparison.pk),
    }[where]
    assert f'data-media-box-value="{box}"' in words(visitor.get(address))
    visitor.post("/studio/chat/pictures/", {"file": file(), "endpoint": talk.endpoint_id, "box": box})
    picture = Picture.objects.get()
    said = visitor.post(f"/studio/chat/pictures/{picture.pk}/alt/", {f"alt-{picture.pk}": "A square"})
    text = words(visitor.get(address))
    assert (said.status_code, f'name="picture" value="{picture.pk}"' in text) == (204, True)
    assert f'name="alt-{picture.pk}" value="A square"' in text


def test_a_refused_one_by_a_sentence(visitor):
    response = visitor.post("/studio/chat/pictures/", {"file": file(b"<svg/>", "<b>.svg")})
    sentence = "<p>&lt;b&gt;.svg isn&#x27;t a PNG, JPEG, WebP, or GIF image.</p>"
    assert (response.status_code, words(response)) == (422, sentence)


def test_without_a_file_there_is_nothing(visitor):
    assert visitor.post("/studio/chat/pictures/").status_code == 404


@pytest.mark.threat("T11")
def test_a_picture_is_served_as_nothing_else(visitor):
    picture = factories.picture()
    response = visitor.get(f"/studio/chat/pictures/{picture.pk}/")
    assert (response.content, response["Content-Type"]) == (factories.png(), "image/png")
    assert response["Cache-Control"] == "private, max-age=31536000, immutable"
    assert response["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert response["Content-Disposition"] == 'inline; filename="picture.png"'
    assert (response["X-Content-Type-Options"], response["Cross-Origin-Resource-Policy"]) == ("nosniff", "same-origin")


def test_a_picture_whose_file_is_gone_is_not_found(visitor):
    picture = factories.picture()
    path_of(picture).unlink()
    assert visitor.get(f"/studio/chat/pictures/{picture.pk}/").status_code == 404


def test_removing(visitor):
    picture = factories.picture()
    assert visitor.post(f"/studio/chat/pictures/{picture.pk}/remove/").status_code == 204
    assert Picture.objects.count() == 0


def test_a_message_takes_what_was_added_with_its_alternative_text(visitor, talk):
    first, second = factories.picture(), factories.picture(name="b.png")
    values = {"picture": [second.pk, first.pk], f"alt-{first.pk}": "A <red> one"}
    text = words(send(visitor, talk, headers=HTMX, **values))
    question = talk.messages.first()
    assert [(each.pk, each.alt) for each in question.pictures.all()] == [(second.pk, ""), (first.pk, "A <red> one")]
    assert re.findall(r'class="thumbs".*?alt="([^"]+)".*?alt="([^"]+)"', text) == [("b.png", "A &lt;red&gt; one")]


def test_without_a_script_the_files_come_with_the_message(visitor, talk):
    response = send(visitor, talk, pictures=[file(), file(name="b.png")])
    question = talk.messages.first()
    assert (response.status_code, [each.name for each in question.pictures.all()]) == (303, ["red.png", "b.png"])


def test_without_a_script_a_refused_message_keeps_its_pictures(visitor, talk):
    response = send(visitor, talk, text="Look at this", pictures=[file(), file(b"x", "no.png")])
    text = words(response)
    assert (response.status_code, talk.messages.count()) == (422, 0)
    assert ("no.png isn&#x27;t a PNG" in text, "Look at this" in text) == (True, True)
    kept = Picture.objects.get()
    assert f'name="picture" value="{kept.pk}"' in text
    send(visitor, talk, picture=[kept.pk], without=[kept.pk])
    assert (talk.messages.count(), Picture.objects.count()) == (2, 0)


def test_somebody_else_s_picture_cannot_be_sent(visitor, talk):
    theirs = factories.picture(owner=factories.stranger())
    response = send(visitor, talk, picture=[theirs.pk, "x"])
    theirs.refresh_from_db()
    assert (response.status_code, talk.messages.count(), theirs.message) == (422, 0, None)
    assert "An image in this message is no longer available. Add it again." in words(response)


def test_the_same_message_twice_has_its_pictures_once(visitor, talk):
    picture, key = factories.picture(), str(uuid.uuid4())
    for _ in range(2):
        visitor.post(f"/studio/chat/{talk.pk}/send/", {"key": key, "text": "Hi", "picture": picture.pk}, **HTMX)
    assert (talk.messages.count(), Picture.objects.count()) == (2, 1)


def test_a_new_chat_begins_with_pictures(visitor, talk):
    data = {"key": str(uuid.uuid4()), "text": "", "endpoint": talk.endpoint_id, "pictures": file()}
    assert visitor.post("/studio/chat/", data).status_code == 303
    begun = Conversation.objects.exclude(pk=talk.pk).get()
    assert (begun.title, begun.messages.first().pictures.count()) == ("red.png", 1)


@pytest.mark.parametrize(
    ("base_model", "disabled", "hint"),
    [
        (SEES, 0, ""),
        (factories.BASE_MODEL, 2, "gemma-3-270m accepts text only, not images."),
        ("local/mine@1", 0, "It's unknown whether this model accepts images."),
    ],
)
def test_the_composer_says_what_the_model_reads(visitor, base_model, disabled, hint):
    talk = factories.conversation(endpoint=factories.ready_endpoint(base_model=base_model))
    text = words(visitor.get(f"/studio/chat/{talk.pk}/"))
    assert len(re.findall(r'<input type="file"[^>]* disabled>', text)) == disabled
    assert re.search(r'id="pictures-reason"[^>]*>([^<]*)<', tight(text))[1] == hint


def test_a_text_model_refuses_a_picture_that_comes_anyway(visitor):
    talk = factories.conversation(endpoint=factories.ready_endpoint())
    response = send(visitor, talk, picture=[factories.picture().pk], headers=HTMX)
    assert (response.status_code, talk.messages.count()) == (422, 0)
    assert "gemma-3-270m accepts text only, not images. Remove the images" in words(response)


@pytest.mark.parametrize("count", [1, 3])
def test_the_page_takes_the_same_queries_for_one_picture_and_for_three(visitor, talk, django_assert_num_queries, count):
    for _ in range(count):
        factories.picture(message=factories.message(conversation=talk))
    with django_assert_num_queries(16):
        visitor.get(f"/studio/chat/{talk.pk}/")


@pytest.mark.parametrize("count", [1, 3])
def test_a_new_chat_takes_the_same_queries_for_one_endpoint_and_for_three(visitor, django_assert_num_queries, count):
    for _ in range(count):
        factories.ready_endpoint()
    with django_assert_num_queries(8):
        visitor.get("/studio/chat/")
