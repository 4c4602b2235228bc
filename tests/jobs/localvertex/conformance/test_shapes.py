import pytest

from jobs.localvertex.conformance.shapes import find_problems

TIME = "2026-01-02T03:04:05.678901Z"


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        ({"a": "@string"}, {"a": "x", "b": 1}),
        ({"a?": "@string"}, {}),
        ({"a": "@absent"}, {"b": 1}),
        ({"a": [{"b": "@number"}]}, {"a": [{"b": 1}, {"b": 0.5}]}),
        ("@bool", False),
        ("@int64", "12"),
        ("@time", TIME),
        ("@time", "2026-01-02T03:04:05Z"),
        ("@one:A|B", "B"),
        ("@match:gs://.+", "gs://a/b"),
        ("@name:endpoints/*/operations/*", "projects/1/locations/us-central1/endpoints/e/operations/2"),
        ("text", "text"),
        (1, 1),
        ({"@message": "Endpoint", "name": "@string"}, {"name": "x", "isNewer": {}}),
    ],
)
def test_what_fits(shape, value):
    assert list(find_problems(shape, value)) == []


@pytest.mark.parametrize(
    ("shape", "value", "problem"),
    [
        ({"a": "@string"}, {}, "a: is not there"),
        ({"a": {"b": "@absent"}}, {"a": {"b": 1}}, "a.b: is there, as 1"),
        ({"a": {}}, {"a": 1}, "a: is 1, not an object"),
        (["@string"], [], "answer: is empty"),
        (["@string"], {}, "answer: is {}, not a list"),
        (["@string"], ["a", 1], "[1]: is 1, not '@string'"),
        ("@string", "", "answer: is '', not '@string'"),
        ("@bool", 1, "answer: is 1, not '@bool'"),
        ("@number", True, "answer: is True, not '@number'"),
        ("@int64", 12, "answer: is 12, not '@int64'"),
        ("@time", "2026-01-02 03:04:05", "answer: is '2026-01-02 03:04:05', not '@time'"),
        ("@time", "2026-01-02T03:04:05.1Z", "answer: is '2026-01-02T03:04:05.1Z', not '@time'"),
        ("@one:A|B", "C", "answer: is 'C', not '@one:A|B'"),
        ("@match:gs://.+", "s3://a", "answer: is 's3://a', not '@match:gs://.+'"),
        ("@name:models/*", "models/m", "answer: is 'models/m', not '@name:models/*'"),
        ("@name:models/*", "projects/1/locations/l/x", "answer: is 'projects/1/locations/l/x', not '@name:models/*'"),
        (True, 1, "answer: is 1, not True"),
        (400, 404, "answer: is 404, not 400"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_its_place(shape, value, problem):
    assert [str(one) for one in find_problems(shape, value)] == [problem]


def test_enums_and_types_are_those_of_the_messages():
    found = [str(one) for one in find_problems({"@message": "TuningJob"}, {"labels": 5, "state": {"a": 1}})]
    assert len(found) == 1
    assert found[0].startswith("answer: is no TuningJob: ")


def test_an_unknown_kind_is_a_mistake_of_the_pair():
    with pytest.raises(ValueError, match="@shoes is no kind"):
        list(find_problems("@shoes", "x"))
