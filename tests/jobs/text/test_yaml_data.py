import time

import pytest

from jobs.text.yaml_data import DEEPEST, read_yaml

DOZEN = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
BOMB = f"a0: &a0 [x]\n{DOZEN}"


def problem(text):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the sentence is compared
        read_yaml(text)
    return str(caught.value)


def test_data_is_read():
    assert read_yaml("a: [1, 2.5, true, null, text]\nb: {c: '선'}") == {
        "a": [1, 2.5, True, None, "text"], "b": {"c": "선"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (BOMB, "line 1, column 5: anchors and references are not read. Write the value itself."),
        ("a: &x 1", "line 1, column 4: anchors and references are not read. Write the value itself."),
        ("a: *x", "line 1, column 4: anchors and references are not read. Write the value itself."),
        (
            "a: 1\nb: !!python/object/apply:os.system [ls]",
            "line 2, column 4: tags are not read. Write the value alone.",
        ),
        ("a: !!binary aGk=", "line 1, column 4: tags are not read. Write the value alone."),
        ("- " * (DEEPEST + 1), f"line 1, column {2 * DEEPEST + 1}: it is nested too deeply."),
        ("[" * 40_000, f"line 1, column {DEEPEST + 1}: it is nested too deeply."),
        ("a: 1\n---\nb: 2", "line 2, column 1: there is a second document. Write one."),
    ],
)
def test_what_is_more_than_data_is_refused(text, sentence):
    began = time.process_time()
    assert problem(text) == sentence
    assert time.process_time() - began < 10
