import pytest

from jobs.models.fields.uris import parse_gs_uri


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("gs://my-bucket", ("my-bucket", "")),
        ("gs://my-bucket/", ("my-bucket", "")),
        ("gs://my-bucket/out", ("my-bucket", "out")),
        ("gs://my-bucket/a folder/ünder/", ("my-bucket", "a folder/ünder")),
        ("gs://my.bucket.example.com/a..b/.hidden", ("my.bucket.example.com", "a..b/.hidden")),
        ("gs://b_1/x", ("b_1", "x")),
    ],
)
def test_an_address_has_a_bucket_and_a_path(text, parts):
    assert parse_gs_uri(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "my-bucket/out",
        "https://storage.googleapis.com/my-bucket/out",
        "GS://my-bucket",
        " gs://my-bucket",
        "gs://",
        "gs:///out",
        "gs://ab",
        "gs://" + "a" * 64,
        "gs://My-bucket/out",
        "gs://-bucket",
        "gs://bucket-",
        "gs://a..b",
        "gs://192.168.0.1/out",
        "gs://goog-bucket",
        "gs://my-google-bucket",
        "gs://my bucket/out",
        "gs://user@bucket/out",
        "gs://bucket:80/out",
        "gs://bücket/out",
        "gs://my-bucket//out",
        "gs://my-bucket/a//b",
        "gs://my-bucket/out//",
        "gs://my-bucket/../other",
        "gs://my-bucket/a/./b",
        "gs://my-bucket/..",
        "gs://my-bucket/out?x=1",
        "gs://my-bucket/out#part",
        "gs://my-bucket/*",
        "gs://my-bucket/[a]",
        "gs://my-bucket/a\nb",
        "gs://my-bucket/a\x00b",
        "gs://my-bucket/a\u202eb",
        "gs://my-bucket/\udcff",
        "gs://my-bucket/" + "é" * 513,
    ],
)
def test_an_address_that_is_none_gets_a_sentence(text):
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
        parse_gs_uri(text)
