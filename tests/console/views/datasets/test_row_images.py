import io
import re
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from PIL import Image

from jobs.models import Dataset
from tests.support import factories
from tests.support.zips import lines, make_row, pack, pack_images

pytestmark = pytest.mark.django_db


@pytest.fixture
def visitor(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def upload(visitor: Client, content: bytes) -> "tuple[int, str]":
    sent = SimpleUploadedFile("set.zip", content, "application/zip")
    answer = visitor.post(reverse("dataset-upload"), {"file": sent, "name": "Set"})
    return answer.status_code, " ".join(unescape(answer.content.decode()).split())


def test_rows_show_the_images_that_came_along(visitor: Client) -> None:
    assert upload(visitor, pack_images("a.png", "b.png")) == (303, "")
    page = visitor.get(reverse("dataset-rows", args=[Dataset.objects.get().pk])).content.decode()
    addresses = re.findall(r'<img src="(/datasets/images/[0-9a-f]{64}\.png)"', page)
    images = [visitor.get(address) for address in addresses]
    colours = [Image.open(io.BytesIO(image.content)).getpixel((5, 5)) for image in images]
    assert colours == [(255, 0, 0), (0, 128, 0)]
    overview = " ".join(
        visitor.get(reverse("dataset-detail", args=[Dataset.objects.get().pk])).content.decode().split()
    )
    assert ("2 images ·" in overview, "2 images came with the rows." in overview) == (True, True)


@pytest.mark.threat("T11")
def test_an_image_is_served_as_an_image_only(visitor: Client) -> None:
    upload(visitor, pack_images("a.png"))
    answer = visitor.get(reverse("dataset-image", args=[Dataset.objects.get().images.get().file]))
    names = ("Content-Type", "Cache-Control", "Content-Disposition", "X-Content-Type-Options")
    assert [answer[name] for name in names] == [
        "image/png", "private, max-age=31536000, immutable", 'inline; filename="picture.png"', "nosniff",
    ]  # fmt: skip
    assert "sandbox" in answer["Content-Security-Policy"]


@pytest.mark.threat("T1")
def test_images_of_somebody_else_are_not_found(visitor: Client) -> None:
    upload(visitor, pack_images("a.png"))
    address = reverse("dataset-image", args=[Dataset.objects.get().images.get().file])
    stranger = Client()
    stranger.force_login(factories.user(username="bob"))
    found = [one.get(address).status_code for one in (visitor, stranger)]
    odd = [visitor.get(f"/datasets/images/{name}").status_code for name in ("x.png", "a" * 64 + ".png", "..", "%00")]
    assert (found, odd) == ([200, 404], [404] * 4)


def test_a_bad_zip_file_is_refused_in_the_form(visitor: Client) -> None:
    status, page = upload(visitor, pack({"a.png": b""}))
    assert (status, Dataset.objects.count()) == (422, 0)
    assert "The zip file has no file of rows. Add one that ends in .jsonl, with one JSON object per line." in page


def test_an_image_that_is_not_there_is_named_in_its_row(visitor: Client) -> None:
    upload(visitor, pack({"rows.jsonl": lines(make_row("lost.png"))}))
    page = visitor.get(reverse("dataset-rows", args=[Dataset.objects.get().pk])).content.decode()
    assert "The image lost.png is not among the images of this dataset." in page
    assert ('<span class="blocked">' in page, "<img" in page.partition('id="rows"')[2]) == (True, False)
