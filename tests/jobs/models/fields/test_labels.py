import pytest

from jobs.models.fields.labels import as_text, parse_labels


def test_a_label_on_each_line():
    assert parse_labels(" team = support \n\nstage=\n") == {"team": "support", "stage": ""}


def test_labels_come_back_as_they_were():
    labels = {"team": "support", "stage": "", "a" * 63: "9" * 63}
    assert parse_labels(as_text(labels)) == labels


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("team", "Line 1: write a label as key=value"),
        ("a=1\na=2", "Line 2: the key a is there twice."),
        ("Team=x", "The key “Team” must start with a lower-case letter"),
        ("9a=x", "must start with a lower-case letter"),
        ("=x", "must start with a lower-case letter"),
        ("a" * 64 + "=x", "63 at most"),
        ("a=Big", "The value “Big” of a may have only lower-case"),
        ("a=" + "x" * 64, "63 at most"),
        ("app-key=x", "what begins with app- belongs to the console or to Google"),
        ("goog-x=x", "what begins with goog belongs"),
        ("\n".join(f"a{number}=x" for number in range(62)), "at most 61 labels"),
    ],
)
def test_a_label_that_vertex_ai_would_refuse(text, words):
    with pytest.raises(ValueError, match=words):
        parse_labels(text)
