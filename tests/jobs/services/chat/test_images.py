import base64
import io
import os
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from PIL import Image

from jobs.errors import ImageGone, ImageRefused, NotAllowedNow
from jobs.models import Picture
from jobs.services.chat import conversations, images
from jobs.services.chat.streaming.answer import request_for
from tests.support import factories
from tests.support.stored import path_of

pytestmark = pytest.mark.django_db
SEES = "google/gemma3@gemma-3-4b-it"


def saved(picture, kind="PNG", **options):
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def add(content, name="photo.jpg", owner=None, **values):
    who = owner or factories.owner()
    return images.add(who, file=io.BytesIO(content), size=len(content), name=name, **values)


def stored(picture):
    with Image.open(path_of(picture)) as found:
        return found.copy()


@pytest.fixture
def talk():
    return factories.conversation(endpoint=factories.ready_endpoint(base_model=SEES), title="")


def ask(talk, *added, text="What is it?"):
    return conversations.ask(talk, key=uuid4(), text=text, pictures=added)


def finish(answer):
    type(answer).objects.filter(pk=answer.pk).update(state="COMPLETE", content="A square.")


def contents(answer):
    return [turn["content"] for turn in request_for(answer).messages]


def data_url(picture):
    return f"data:{picture.content_type};base64,{base64.b64encode(path_of(picture).read_bytes()).decode()}"


@pytest.mark.threat("T11")
def test_a_picture_is_kept_as_it_is_drawn():
    picture = add(factories.png(), "../C:\\photos\\red\x00 square.png")
    assert (picture.name, picture.content_type, picture.width, picture.height) == (
        "red square.png",
        "image/png",
        40,
        30,
    )
    assert (stored(picture).getpixel((3, 3)), picture.size) == ((255, 0, 0), path_of(picture).stat().st_size)
    assert (path_of(picture).stat().st_mode & 0o777, picture.message) == (0o600, None)


@pytest.mark.parametrize(
    ("base_model", "side"), [(SEES, 896), ("local/else@x", 1536), ("google/medgemma@medgemma-4b-it", 896)]
)
def test_it_is_scaled_to_what_the_model_sees(base_model, side):
    picture = add(factories.png(size=(4000, 2000)), endpoint=factories.ready_endpoint(base_model=base_model))
    assert (picture.width, picture.height) == (side, side // 2)


@pytest.mark.threat("T11")
@pytest.mark.parametrize("number", range(1, 9))
def test_it_is_turned_as_the_camera_was_held(number):
    """The corner that is red after turning, for each value of the EXIF orientation."""
    flat = Image.new("RGB", (60, 40), "white")
    flat.paste("red", (0, 0, 20, 20))
    tags = Image.Exif()
    tags[0x0112] = number
    picture = stored(add(saved(flat, "PNG", exif=tags)))
    right, bottom = picture.width - 5, picture.height - 5
    corners = {1: (5, 5), 2: (right, 5), 3: (right, bottom), 4: (5, bottom)}
    corners |= {5: (5, 5), 6: (right, 5), 7: (right, bottom), 8: (5, bottom)}
    assert (picture.size, picture.getpixel(corners[number])) == ((60, 40) if number < 5 else (40, 60), (255, 0, 0))


def test_what_is_transparent_becomes_white():
    picture = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (0, 0, 20, 40))
    found = stored(add(saved(picture)))
    assert (found.mode, found.getpixel((5, 5)), found.getpixel((35, 5))) == ("RGB", (0, 0, 255), (255, 255, 255))


def test_the_first_frame_counts():
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    picture = add(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert stored(picture).getpixel((5, 5)) == (255, 0, 0)


def test_sixteen_bits_keep_their_light():
    found = stored(add(saved(Image.new("I;16", (40, 40), 0x8000))))
    assert found.getpixel((5, 5)) == (128, 128, 128)


@pytest.mark.threat("T10")
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "a.png is empty."),
        (bytes(10 * 2**20 + 1), "a.png is larger than 10 MB. Scale it down and add it again."),
        (b"\x00\x00\x00\x18ftypheic", "a.png is a HEIC image, which models don't support."),
        (b"<svg/>", "a.png isn't a PNG, JPEG, WebP, or GIF image."),
        (factories.png()[:60], "a.png is damaged and can't be opened. Save it again as PNG or JPEG."),
        (factories.png(size=(900, 5)), "a.png is too small or too narrow for a model to read."),
    ],
    ids=["empty", "large", "heic", "svg", "damaged", "narrow"],
)
def test_a_refusal_says_what_to_do(content, sentence):
    with pytest.raises(ImageRefused, match="^" + sentence.replace(".", r"\.")):
        add(content, "a.png")
    assert Picture.objects.count() == 0


def test_the_model_gets_what_the_person_saw(talk):
    picture = add(factories.png())
    answer = ask(talk, picture)
    question = talk.messages.first()
    assert contents(answer) == [
        [{"type": "image_url", "image_url": {"url": data_url(picture)}}, {"type": "text", "text": "What is it?"}]
    ]
    assert list(question.pictures.all()) == [picture]


def test_a_picture_without_words(talk):
    answer = ask(talk, add(factories.png(), "cat.png"), text="")
    assert ([part["type"] for part in contents(answer)[0]], talk.title) == (["image_url"], "cat.png")


def test_earlier_pictures_are_sent_along_up_to_sixteen(talk):
    for number in range(5):
        finish(ask(talk, *(factories.picture(name=f"{number}-{each}") for each in range(4))))
    sent = contents(ask(talk, text="And now?"))
    kinds = [[part["type"] for part in turn] for turn in sent[2:-1:2]]
    assert sent[0] == "\n\n".join([*(f"[A picture that is left out here: 0-{n}]" for n in range(4)), "What is it?"])
    assert (kinds, sent[-1]) == ([["image_url"] * 4 + ["text"]] * 4, "And now?")
    assert images.select_images(talk.path(), talk.endpoint).note.startswith(
        "The 4 oldest images in this chat are no longer sent"
    )


def test_a_shared_address_takes_less(talk):
    talk.endpoint.shared_address = True
    talk.endpoint.save()
    finish(ask(talk, factories.picture(size=600_000, name="old")))
    sent = contents(ask(talk, factories.picture(size=600_000, name="new")))
    assert sent[0] == "[A picture that is left out here: old]\n\nWhat is it?"
    assert sent[2][0]["type"] == "image_url"
    with pytest.raises(NotAllowedNow, match="too large for one request"):
        images.require_sendable(talk.endpoint, [factories.picture(size=600_000), factories.picture(size=600_000)])


def test_a_message_takes_sixteen(talk):
    with pytest.raises(NotAllowedNow, match="A message can have at most 16 images. This one has 17. Remove some."):
        ask(talk, *(factories.picture() for _ in range(17)))
    assert talk.messages.count() == 0


def test_a_file_that_is_gone_is_said_and_nothing_is_asked_without_it(talk):
    picture = add(factories.png())
    answer = ask(talk, picture)
    path_of(picture).unlink()
    with pytest.raises(ImageGone) as refused:
        contents(answer)
    assert str(refused.value) == (
        "The file of the image photo.jpg no longer exists, so it can't be sent. Edit the message to remove the image "
        "or add it again."
    )


@pytest.mark.django_db(transaction=True)
def test_an_answer_about_a_picture_that_is_gone_fails_with_its_name(talk, fake_gateway):
    """Rather than be about the question alone."""
    picture = add(factories.png())
    answer = ask(talk, picture)
    path_of(picture).unlink()
    conversations.answer(answer.pk)
    answer.refresh_from_db()
    assert (answer.state, answer.content, fake_gateway.chat.requests) == ("FAILED", "", [])
    assert "The file of the image photo.jpg no longer exists" in answer.error_message


def test_a_text_model_is_sent_none(talk):
    finish(ask(talk, factories.picture(alt="A cat")))
    talk.endpoint.deployed_models.update(base_model=factories.BASE_MODEL)
    talk.refresh_from_db()
    with pytest.raises(NotAllowedNow, match="gemma-3-270m accepts text only, not images. Remove the images"):
        ask(talk, factories.picture())
    talk.refresh_from_db()
    assert contents(ask(talk))[0] == "[A picture that is left out here: A cat]\n\nWhat is it?"


@pytest.mark.parametrize(
    ("base_model", "told", "reads"),
    [
        (SEES, ["text"], False),
        (SEES, [], True),
        (factories.BASE_MODEL, ["text", "image"], True),
        ("local/mine@1", [], None),
        ("", [], None),
    ],
)
def test_the_catalogue_says_what_a_model_reads(base_model, told, reads):
    if base_model and told:
        factories.publisher_model(name=base_model, data={"modalities": told})
    endpoint = factories.ready_endpoint(base_model=base_model, artifact_uri="gs://bucket/tuned")
    assert images.reading([endpoint]) == {endpoint.pk: reads}


def test_what_was_sent_is_copied_for_another_turn(talk):
    picture = add(factories.png())
    ask(talk, picture)
    other = factories.message(conversation=factories.conversation(endpoint=talk.endpoint))
    images.attach(other, [picture])
    copy = other.pictures.get()
    assert (copy.pk == picture.pk, path_of(copy), copy.width) == (False, path_of(picture), 40)


def test_only_what_was_not_sent_is_removed(talk):
    sent, loose = factories.picture(), factories.picture()
    ask(talk, sent)
    for picture in (sent, loose):
        images.remove(picture)
    assert list(Picture.objects.all()) == [sent]


def test_only_so_many_wait_to_be_sent():
    theirs = factories.picture(owner=factories.stranger())
    waiting = [factories.picture() for _ in range(images.MAX_UNSENT)]
    added = add(factories.png("green"))
    assert set(Picture.objects.all()) == {theirs, *waiting[1:], added}


def test_prune_forgets_what_was_never_sent_and_its_file(talk):
    now = timezone.now()
    sent, loose = add(factories.png("red")), add(factories.png("blue"))
    fresh = add(factories.png("green"))
    ask(talk, sent)
    Picture.objects.exclude(pk=fresh.pk).update(created_at=now - timedelta(days=8))
    for picture in (sent, loose):
        os.utime(path_of(picture), (0, 0))
    images.prune(now)
    assert set(Picture.objects.all()) == {sent, fresh}
    assert [path_of(picture).exists() for picture in (sent, loose, fresh)] == [True, False, True]


def test_what_waits_in_a_box_is_found_there_until_it_is_sent(talk, team_mate):
    here = [add(factories.png(colour), box="new") for colour in ("red", "blue")]
    add(factories.png(), box=str(talk.pk))
    add(factories.png(), owner=team_mate, box="new")
    images.describe(here[0], "A red square")
    assert [(found.pk, found.alt) for found in images.unsent(here[0].owner, "new")] == [
        (here[0].pk, "A red square"), (here[1].pk, ""),
    ]  # fmt: skip
    ask(talk, here[0])
    images.describe(here[0], "Too late")
    assert images.unsent(here[0].owner, "new") == [here[1]]
    assert Picture.objects.get(pk=here[0].pk).alt == ""


def test_a_deleted_chat_takes_its_pictures_along(talk):
    picture, same = add(factories.png()), add(factories.png())
    ask(talk, picture)
    conversations.delete(talk)
    os.utime(path_of(picture), (0, 0))
    images.prune(timezone.now())
    assert path_of(picture).exists()
    images.remove(same)
    images.prune(timezone.now())
    assert (path_of(picture).exists(), Picture.objects.count()) == (False, 0)
