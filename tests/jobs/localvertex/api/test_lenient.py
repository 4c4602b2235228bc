import time

import pytest

from jobs.localvertex.api.bodies import parse_body
from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.api.lenient import read_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, "b": [1, 2, ],\n}', {"a": 1, "b": [1, 2]}),
        ("{'it': 'it\\'s \"so\"', b_1: true,}", {"it": 'it\'s "so"', "b_1": True}),
        ('{"a": "two\nlines\tand"}', {"a": "two\nlines\tand"}),
        ("{'q': 'a\\qb\\u00e9', }", {"q": "aqbé"}),
        ("{a: ', }', b: \",]\",}", {"a": ", }", "b": ",]"}),
    ],
)
def test_what_google_takes(text, value):
    assert read_json(text.encode()) == value


@pytest.mark.parametrize(
    "text",
    ["{,}", "[,]", "[1,,2]", "[1,,]", "{a 1}", "{true: 1}", "{'a': b}", "{'a'", "'", "{a: NaN}", "{'a': 01}", "{'a':,}",
     '{"a": 1 // why\n}', "{'a': 'b\\'}", '"\\'],
)  # fmt: skip
def test_what_google_refuses(text):
    with pytest.raises(ApiError, match="Invalid JSON payload received"):
        parse_body(text.encode())


def test_a_model_server_reads_the_standard_only():
    with pytest.raises(ApiError, match="Invalid JSON payload received"):
        parse_body(b'{"a": 1,}', leniently=False)


@pytest.mark.parametrize(
    "text",
    ["'" * 250_000, "{" * 250_000, "a" * 250_000 + " ", "[" + "a " * 120_000, ", " * 120_000, '"\\' * 120_000,
     ("a" + " " * 1000) * 250, "'" + "x" * 9_000_000],
)  # fmt: skip
def test_nonsense_takes_no_longer_than_its_length(text):
    began = time.process_time()
    with pytest.raises((ValueError, RecursionError)):
        read_json(text.encode())
    assert time.process_time() - began < 6
