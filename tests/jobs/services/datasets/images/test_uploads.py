import io
import json
import tracemalloc
from typing import Any

import pytest
from django.contrib.auth.models import User
from PIL import Image

from jobs.errors import DatasetRejected
from jobs.files import store
from jobs.models import Dataset, DatasetImage
from jobs.services.datasets import datasets, derive
from jobs.services.datasets.images import kept, uploads
from jobs.services.datasets.images.judge import Judge
from jobs.services.datasets.images.parts import RowImage
from jobs.services.datasets.measure import AN_IMAGE
from tests.support import factories
from tests.support.images import animate, draw, turn
from tests.support.stored import path_of
from tests.support.zips import lines, make_contents_row, make_row, pack, pack_images

pytestmark = pytest.mark.django_db
BUCKET = "gs://garden-local"
THEN = " Then upload the zip file again."


def upload(owner: User, content: bytes, name: str = "") -> Dataset:
    return uploads.create(owner, io.BytesIO(content), "set.zip", name)[0]


def rows_of(dataset: Dataset) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path_of(dataset).read_text().splitlines()]


def addresses(dataset: Dataset) -> list[str]:
    return [row["messages"][0]["content"][0]["image_url"]["url"] for row in rows_of(dataset)]


def test_rows_name_their_images_in_the_bucket(owner: User) -> None:
    dataset = upload(owner, pack_images("a.png", "images/b.png"))
    assert (dataset.is_usable, dataset.problems, dataset.image_count) == (True, [], 2)
    assert dataset.notes == ["2 images came with the rows."]
    files = sorted(dataset.images.values_list("file", flat=True))
    assert sorted(addresses(dataset)) == [f"{BUCKET}/datasets/users/{owner.pk}/images/{file}" for file in files]
    with Image.open(io.BytesIO(kept.read(owner.pk, addresses(dataset)[1].rpartition("/")[2]))) as image:
        assert (image.size, image.getpixel((5, 5))) == ((40, 31), (0, 128, 0))


def test_images_count_as_tokens(owner: User) -> None:
    texts = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A square."}]
    (plain,) = [datasets.create(owner, file=io.BytesIO(lines({"messages": texts}).encode()), file_name="a.jsonl")]
    dataset = upload(owner, pack_images("a.png"))
    assert dataset.token_estimate - plain.token_estimate == AN_IMAGE
    assert (dataset.rows_over, plain.rows_over, dataset.stats["longest"]) == ({}, {}, dataset.token_estimate)


def test_in_gemini_s_words_the_type_is_that_of_what_is_kept(owner: User) -> None:
    rows = lines(make_contents_row("a.webp", "image/webp"), make_contents_row("b.png"))
    dataset = upload(owner, pack({"rows.jsonl": rows, "a.webp": draw("WEBP"), "b.png": draw("PNG")}))
    found = [row["contents"][0]["parts"][0]["fileData"] for row in rows_of(dataset)]
    assert [(one["mimeType"], one["fileUri"][-4:]) for one in found] == [("image/jpeg", ".jpg"), ("image/png", ".png")]
    assert (dataset.is_usable, dataset.format) == (True, "contents")


def test_what_is_wrong_with_images_is_said_by_row(owner: User) -> None:
    large = b"\x89PNG\r\n\x1a\n" + bytes(10 * 2**20)
    files = {"broken.png": b"\x89PNG\r\n\x1a\n" + b"x" * 99, "moves.gif": animate("GIF"), "text.png": b"hello",
             "none.png": b"", "large.png": large, "good.png": draw("PNG")}  # fmt: skip
    names = ["good.png", *list(files)[:5], "lost.png", "https://example.com/cat.png", "gs://ab/c.png"]
    dataset = upload(owner, pack({"rows.jsonl": lines(*map(make_row, names)), **files}))
    assert (dataset.valid_rows, dataset.invalid_rows) == (1, 8)
    said = {problem["line"]: f"{problem['problem']} {problem['remedy']}" for problem in dataset.problems}
    again = "Upload the rows and their images together as a zip file, "
    assert said == {
        2: f"broken.png is damaged and can't be opened. Save it again as PNG or JPEG.{THEN}",
        3: f"moves.gif is animated. Save the frame that the model should see as PNG or JPEG.{THEN}",
        4: f"text.png isn't a PNG, JPEG, WebP, or GIF image.{THEN}",
        5: f"none.png is empty.{THEN}",
        6: f"large.png is larger than 10 MB. Scale it down and add it again.{THEN}",
        7: f"The image lost.png is not among the images of this dataset. {again}and check the name of this one.",
        8: f"Images on the web are never fetched: https://example.com/cat.png. {again}or refer to images by gs://"
           " paths.",
        9: "A bucket name must have 3 to 63 characters. Remove the image, or refer to one that you have access to.",
    }  # fmt: skip
    assert {problem["field"] for problem in dataset.problems} == {"messages[0].content[0]"}
    assert [problem["line"] for problem in datasets.problems_jsonl(dataset)] == list(range(2, 10))


def test_of_an_image_that_is_too_large_no_more_is_read_than_tells_so(owner: User) -> None:
    content = pack({"rows.jsonl": lines(make_row("a.png")), "a.png": bytes(100 * 2**20)})
    tracemalloc.start()
    try:
        dataset = upload(owner, content)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert dataset.problems[0]["problem"].startswith("a.png is larger than 10 MB.")
    assert peak < 40 * 2**20


def test_notes_name_what_was_turned_and_what_no_row_needs(owner: User) -> None:
    files = {"a.jpg": turn(), "x.png": b"", "notes.txt": b"Hello"}
    dataset = upload(owner, pack({"rows.jsonl": lines(make_row("a.jpg")), **files}))
    assert dataset.notes == [
        "1 image came with the rows.",
        "1 image was turned upright, as its camera had noted.",
        "2 files of the zip file are in no row and were left out, such as x.png, notes.txt.",
    ]
    with Image.open(io.BytesIO(kept.read(owner.pk, dataset.images.get().file))) as image:
        assert (image.size, dict(image.getexif())) == ((40, 60), {})


def test_a_second_upload_is_the_same_dataset_and_a_changed_one_its_next_version(owner: User) -> None:
    first = upload(owner, pack_images("a.png", "b.png"), "Set")
    assert uploads.create(owner, io.BytesIO(pack_images("a.png", "b.png")), "set.zip") == (first, True)
    second = upload(owner, pack_images("a.png", "b.png", "c.png"), "Set")
    assert (second.version, second.changes) == (2, {"added": 1, "removed": 0, "same": 2})
    assert len({found.name for found in store.walk("dataset-images")}) == 3


def test_versions_and_parts_have_the_images_of_their_rows(owner: User) -> None:
    """Rows that differ in the image alone are no equal ones."""
    dataset = upload(owner, pack_images(*(f"{number}.png" for number in range(10))))
    train, validation = derive.split(dataset, share=20, seed=1)
    parts = [set(part.images.values_list("file", flat=True)) for part in (train, validation)]
    assert (list(map(len, parts)), parts[0] & parts[1]) == ([8, 2], set())
    assert (train.is_usable, train.image_count, validation.image_count) == (True, 8, 2)


def test_rows_without_images_may_be_in_a_zip_file_too(owner: User) -> None:
    dataset = upload(owner, pack({"rows.jsonl": '{"prompt": "a", "completion": "b"}\n'}))
    assert (dataset.is_usable, dataset.image_count, dataset.name) == (True, 0, "set")
    assert path_of(dataset).read_text() == '{"prompt": "a", "completion": "b"}\n'


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (pack({"rows.jsonl": ""}), "The file is empty. Write one JSON object per line."),
        (pack({"rows.jsonl": lines(make_row("a.png")).encode("utf-16")}), "The file is in UTF-16. Save it as UTF-8,"
         " then try again."),
        (pack({"rows.jsonl": b'{"prompt": "\xff"}'}), "The file is not UTF-8: line 1, byte 13 of it, is 0xFF. Save"
         " it as UTF-8, then try again."),
        (pack({"a.png": b""}), "The zip file has no file of rows. Add one that ends in .jsonl, with one JSON object"
         " per line."),
    ],
)  # fmt: skip
def test_a_rejected_one_leaves_no_dataset(owner: User, content: bytes, sentence: str) -> None:
    with pytest.raises(DatasetRejected) as caught:
        upload(owner, content)
    assert (str(caught.value), Dataset.objects.count()) == (sentence, 0)


def test_without_a_bucket_there_is_no_place_for_images(owner: User, settings: Any) -> None:
    settings.VERTEX_BUCKET = ""
    with pytest.raises(DatasetRejected, match="^There is no bucket for images. Set VERTEX_BUCKET, or upload rows"):
        upload(owner, pack_images("a.png"))


def test_a_zip_file_that_is_too_large(owner: User, settings: Any) -> None:
    settings.DATASET_MAX_BYTES = 300
    with pytest.raises(DatasetRejected, match=r"^The file has 0\.0 MB. The limit is 0 MB. Split it or remove rows.$"):
        upload(owner, pack_images("a.png"))


@pytest.mark.threat("T14")
def test_images_of_somebody_else_are_refused_by_their_address(owner: User) -> None:
    """Also those that an earlier upload of one's own has, when its datasets are gone."""
    bob = factories.user(username="bob")
    theirs = addresses(upload(owner, pack_images("a.png")))[0]
    dataset = upload(bob, pack({"rows.jsonl": lines(make_row(theirs))}))
    assert (dataset.is_usable, DatasetImage.objects.filter(dataset=dataset).exists()) == (False, False)
    assert dataset.problems[0]["problem"].startswith(f"You have no access to {theirs}.")
    with pytest.raises(FileNotFoundError):
        kept.read(bob.pk, theirs.rpartition("/")[2])
    mine = upload(bob, pack_images("a.png"))
    own = addresses(mine)[0]
    assert Judge(bob)(RowImage("x", own, {})) is None
    mine.delete()
    assert Judge(bob)(RowImage("x", own, {})) == (
        "x", f"The console has no image for {own}.", "Upload the zip file with the rows and their images again."
    )  # fmt: skip
