import time

import pytest

from jobs.text.yaml_data import DEEPEST, read_yaml

DOZEN = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
BOMB = f"a0: &a0 [x]\n{DOZEN}"


def test_data_is_read():
    assert read_yaml("a: [1, 2.5, true, null, text]\nb: {c: '선'}") == {
        "a": [1, 2.5, True, None, "text"], "b": {"c": "선"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (BOMB, "line 1: anchors and references are not read. Write the value itself."),
        ("a: &x 1", "line 1: anchors and references are not read. Write the value itself."),
        ("a: *x", "line 1: anchors and references are not read. Write the value itself."),
        ("a: 1\nb: !!python/object/apply:os.system [ls]", "line 2: tags are not read. Write the value alone."),
        ("a: !!binary aGk=", "line 1: tags are not read. Write the value alone."),
        ("- " * (DEEPEST + 1), "line 1: it is nested too deeply."),
        ("[" * 40_000, "line 1: it is nested too deeply."),
        ("a: 1\n---\nb: 2", "line 2: there is a second document. Write one."),
        ("a: b: c", "line 1: mapping values are not allowed here"),
        ("a: \0", "unacceptable character"),
    ],
)
def test_what_is_more_than_data_is_refused(text, sentence):
    began = time.process_time()
    with pytest.raises(ValueError, match=sentence):
        read_yaml(text)
    assert time.process_time() - began < 10
