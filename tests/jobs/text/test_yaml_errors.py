import pytest
import yaml

from jobs.text import yaml_errors
from jobs.text.yaml_data import read_yaml

BLOCK = "this line doesn't fit into the block. Indent the entries of one block equally."
BRACKET = "a comma or the closing bracket is missing."
BEGIN = "a value can't begin with this character. Put the value in quotes."
COLON = "a colon isn't allowed here. Check the indentation, or put text that contains a colon in quotes."
ESCAPE = "this escape sequence is unknown. Write two backslashes for one, or use single quotation marks."
EXTRA = "a value is missing, or a bracket is extra."
LATER = "there is text after the end of the value."
NUMBER = "this looks like a date or a number, but isn't one. Put it in quotes."
PERCENT = "lines that begin with a percent sign are not read. Remove this line."
QUOTE = "the quotation mark that begins here is not closed."
CASES = {
    "a: b: c": (1, 5, COLON),
    "a: 1\nb:\n   c: 2\n  d: 3": (4, 3, BLOCK),
    "a: 1\n  b: 2": (2, 4, COLON),
    "- a\nb: 1": (2, 1, BLOCK),
    "a: -": (1, 4, BLOCK),
    "a: ? b": (1, 4, BLOCK),
    "a: [1, 2": (1, 9, BRACKET),
    "a: {b: 1": (1, 9, BRACKET),
    "a: 1\nb: 'x\n\n\nc: 2": (2, 4, QUOTE),
    "a: 'x\n---\n'": (1, 4, QUOTE),
    'a: "x\\q"': (1, 7, ESCAPE),
    'a: "\\x1"': (1, 7, ESCAPE),
    'a: "\\U00110000"': (1, 7, ESCAPE),
    "a:\n\t- 1": (2, 1, "a tab can't indent a line. Use spaces."),
    "a: @x": (1, 4, BEGIN),
    "a: `x`": (1, 4, BEGIN),
    "a: 1\n}": (2, 1, EXTRA),
    "}": (1, 1, EXTRA),
    "'a' 'b'": (1, 5, LATER),
    "a: 1\n...\nb": (3, 1, LATER),
    "a: 1\n? [1]\n: 2": (2, 3, "a key can't be a list or an object. Write text."),
    "<<: 1": (1, 5, "merge keys are not read. Write the values themselves."),
    "a: 1\nb: 2026-13-45": (2, 4, NUMBER),
    "a: 0x_": (1, 4, NUMBER),
    "a: =": (1, 4, NUMBER),
    f"a: {'1' * 5000}": (1, 4, NUMBER),
    "a: |3x\n b": (1, 6, "after | or >, the text begins on a new line."),
    "a: &": (1, 5, "anchors and references are not read. Write the value itself."),
    "a: !<x": (1, 7, "tags are not read. Write the value alone."),
    "%YAML 3.0\n---\na: 1": (1, 1, PERCENT),
    "%YAML x\n---\na: 1": (1, 7, PERCENT),
    "a: 1\nb: \0": (2, 4, "this character isn't allowed."),
    "\0": (1, 1, "this character isn't allowed."),
    "{? b\nc": (2, 2, BRACKET),
    "a: 1\nbcd\n": (2, 1, "the colon after a key is missing."),
}  # fmt: skip


def problem(text):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the sentence is compared
        read_yaml(text)
    return str(caught.value)


def test_each_class_of_error_has_a_sentence_and_its_place():
    said = {text: problem(text) for text in CASES}
    assert said == {
        text: f"line {line}, column {column}: {sentence}" for text, (line, column, sentence) in CASES.items()
    }


def test_an_error_of_no_known_class_says_where_to_look():
    mark = yaml.Mark("", 0, 3, 4, None, 0)
    error = yaml.MarkedYAMLError("while doing what nobody knows", None, "xyz", mark)
    rest = "this can't be read. Check the quotes, the brackets, and the indentation."
    assert [yaml_errors.describe(one, "") for one in (error, yaml.YAMLError("xyz"))] == [
        f"line 4, column 5: {rest}", rest,
    ]  # fmt: skip


def test_each_explanation_has_a_case():
    sentences = {sentence for _line, _column, sentence in CASES.values()}
    assert [one.sentence for one in yaml_errors.list_explanations() if one.sentence not in sentences] == []
