"""Addresses of Cloud Storage that are not what they look like: the one parser refuses them, for all who ask it."""

import random
import re
import unicodedata

import pytest

from jobs.models.fields.uris import at_or_above, canonical, format_gs_uri, is_inside, names_inside, parse_gs_uri

pytestmark = pytest.mark.threat("T13")
OWN = "gs://garden-local/tuning/users/7"

# Ways out of a folder, each put at its end, in its middle and at the end of the whole.
STEPS = [
    "..", ".", "", "../..", "./..", "%2e%2e", "%2E%2E", ".%2e", "%2e.", "%252e", "..%2f", "%2f", "%2F..", "%5c..",
    "..\\", "..\\..", "\\", "\\\\server", "\u2024\u2024", "\uff0e\uff0e", "\u2025", "a\uff0fb",
    "a\uff0f..", "\ufe52\ufe52", "..\x00", "\x00", "a\x00b", "a\nb", "a\rb", "a\tb", "a\x0bb", "a\x1bb", "a\x7fb",
    "a\x85b", "a\u2028b", "a\u2029b", "a\u200bb", "a\u200db", "a\ufeffb", "a\u202eb", "a\u2066b", "a\u00adb", "\u00a0",
    "a\u3000b", " ", " a", "a ", "?", "a?b", "?alt=media", "#", "a#b", "#/..", "*", "a*", "**", "[a]", "[", "]",
    "a%00b", "a%0ab", "a%20b", "e\u0301", "\u1100\u1161", "A\u030a", "\u212b", "\udcff", "a\ud800b", "x" * 701,
    "é" * 351, "\uff05\uff12\uff16", "%uff0e", "a%C0%AFb", "a%c0%ae%c0%ae", "\U000e0041",
]  # fmt: skip
# What a caller of the web, a shell or a path library would make something else of.
WHOLES = [
    "", " ", "gs:", "gs:/", "gs://", "gs:///", "gs:////a", "gs:garden-local/a", "gs:/garden-local/a", "GS://garden-local/a",
    "Gs://garden-local/a", "gS://garden-local/a", " gs://garden-local/a", "\tgs://garden-local/a", "\ufeffgs://garden-local/a",
    "gs:\\\\garden-local\\a", "//garden-local/a", "/garden-local/a", "garden-local/a", "s3://garden-local/a",
    "file:///etc/passwd", "http://garden-local/a", "https://storage.googleapis.com/garden-local/a", "gs+http://garden-local/a",
    "gs://gs://garden-local/a", "gs://Garden-local/a", "gs://GARDEN-LOCAL/a", "gs://garden_local_/a", "gs://-garden/a",
    "gs://.garden/a", "gs://garden./a", "gs://gar..den/a", "gs://ga", "gs://" + "a" * 64 + "/a", "gs://127.0.0.1/a",
    "gs://192.168.5.4/a", "gs://0300.0.0.1/a"[:5] + "300.0.0.1/a", "gs://[::1]/a", "gs://localhost:9000/a", "gs://user@garden-local/a",
    "gs://user:pass@garden-local/a", "gs://garden-local@evil/a", "gs://garden-local:80/a", "gs://garden-local?/a",
    "gs://garden-local?a", "gs://garden-local#a", "gs://garden-local#/a", "gs://garden local/a", "gs://garden%2dlocal/a",
    "gs://garden-local%2f..%2fother/a", "gs://garden-local\\..\\other", "gs://gärden/a", "gs://gar\u0434en/a",
    "gs://garden\u2010local/a", "gs://garden-local\x00/a", "gs://garden-local\n/a", "gs://garden-local\u200b/a", "gs://../a",
    "gs://./a", "gs://.../a", "gs://*/a", "gs://goog-garden/a", "gs://google/a", "gs://my-google-bucket/a",
    "gs://ｇarden-local/a", "gs://garden-local//", "gs://garden-local//a", "gs://garden-local///a",
]  # fmt: skip
EVIL = sorted({*WHOLES, *(f"{OWN}/{step}/x" for step in STEPS), *(f"gs://garden-local/{step}/8" for step in STEPS)}
              | {f"{OWN}/{step}/../8" for step in STEPS})  # fmt: skip
LETTERS = "abcxyz0189._-~!@$&'()+,;=: éüñ한글漢字Ωя🙂"


def test_there_are_more_than_two_hundred_of_them():
    assert len(EVIL) > 200


def test_each_is_refused_with_a_sentence():
    def said_of(text):
        try:
            return f"It is {parse_gs_uri(text)}"
        except ValueError as error:
            return str(error)

    said = {text: said_of(text) for text in EVIL}
    assert {text: words for text, words in said.items() if not re.match(r"(?s)^[A-Z].*\.$", words)} == {}


def addresses(count):
    """The seed is in the name of the test that fails: the same addresses every time."""
    chance = random.Random(4711)
    for _ in range(count):
        bucket = "".join(chance.choices("abcdefghij0123456789", k=chance.randint(3, 40)))
        names = ["".join(chance.choices(LETTERS, k=chance.randint(1, 12))) for _ in range(chance.randint(0, 6))]
        yield bucket, "/".join(names)


def test_what_is_taken_is_what_is_written_again():
    taken = 0
    for bucket, path in addresses(5000):
        text = format_gs_uri(bucket, path)
        try:
            parts = parse_gs_uri(text)
        except ValueError:
            continue
        taken += 1
        assert (parts, format_gs_uri(*parts), canonical(f"{text}/")) == ((bucket, path), text, text)
    assert taken > 2500


def test_no_two_that_are_taken_are_one_to_somebody_else():
    """A file system that folds letters' accents, and a program that decodes, read the same of each."""
    for bucket, path in addresses(5000):
        try:
            parse_gs_uri(format_gs_uri(bucket, path))
        except ValueError:
            continue
        folded = unicodedata.normalize("NFKC", path)
        assert unicodedata.normalize("NFC", path) == path
        assert (folded.count("/"), {"", ".", ".."} & set(folded.split("/")) - {path}) == (path.count("/"), set())


def test_noise_is_refused_or_taken_as_it_is():
    chance = random.Random(815)
    alphabet = [chr(code) for code in (*range(0, 256), 0x200B, 0x202E, 0xFF0E, 0xFF0F, 0x2024, 0x301, 0xD800)]
    for _ in range(20000):
        text = "gs://garden-local/" + "".join(chance.choices(alphabet, k=chance.randint(0, 8)))
        try:
            spelled = canonical(text)
        except ValueError:
            continue
        assert (spelled, canonical(spelled)) == (text.removesuffix("/"), spelled)


def test_a_folder_is_not_above_what_only_begins_as_it_does():
    assert [is_inside(uri, "gs://bucket/ann") for uri in ("gs://bucket/ann", "gs://bucket/ann/x")] == [True, True]
    assert [is_inside(uri, "gs://bucket/ann") for uri in ("gs://bucket/ann2", "gs://bucket/an", "gs://bucket")] == [
        False
    ] * 3
    texts = ("In gs://b/ann.", "gs://b/ann/x: no", "gs://b/ann-2", "gs://b/ann.old", "gs://b/an", "gs://b/ann2", "")
    assert [names_inside(text, "gs://b/ann") for text in texts] == [True, True, False, False, False, False, False]
    assert at_or_above("gs://bucket/a/b") == ["gs://bucket", "gs://bucket/a", "gs://bucket/a/b"]
    assert at_or_above("gs://bucket") == ["gs://bucket"]
