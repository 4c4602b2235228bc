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
        ("team", "Line 1: enter a label as key=value"),
        ("a=1\na=2", "Line 2: the key a is used twice."),
        ("Team=x", "The key “Team” must start with a lowercase letter"),
        ("9a=x", "must start with a lowercase letter"),
        ("=x", "must start with a lowercase letter"),
        ("a" * 64 + "=x", "at most 63 characters"),
        ("a=Big", "The value “Big” of a can contain only lowercase"),
        ("a=" + "x" * 64, "at most 63 characters"),
        ("app-key=x", "Keys that start with app- belong to the console or to Google"),
        ("goog-x=x", "Keys that start with goog belong"),
        ("\n".join(f"a{number}=x" for number in range(62)), "at most 61 of your own labels"),
    ],
)
def test_a_label_that_vertex_ai_would_refuse(text, words):
    with pytest.raises(ValueError, match=words):
        parse_labels(text)
