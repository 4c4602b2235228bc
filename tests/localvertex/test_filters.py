import pytest
from google.cloud.aiplatform_v1beta1.types import TuningJob

from jobs.localvertex.errors import ApiError
from jobs.localvertex.filters import page, select

JOBS = [
    TuningJob(name="one", tuned_model_display_name="First", labels={"console-job": "a1", "team": "x"}, state=4),
    TuningJob(name="two", tuned_model_display_name="Second", labels={"console-job": "b2"}, state=5),
    TuningJob(name="three", tuned_model_display_name="Third"),
]


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("", ["one", "two", "three"]),
        ("labels.console-job=a1", ["one"]),
        ('labels.console-job="b2"', ["two"]),
        ("labels.console-job:*", ["one", "two"]),
        ("labels.team:x AND state=JOB_STATE_SUCCEEDED", ["one"]),
        ('tuned_model_display_name = "Second"', ["two"]),
        ('tunedModelDisplayName!="Second"', ["one", "three"]),
        ("NOT labels.team=x", ["two", "three"]),
        ("labels.console-job=nobody", []),
    ],
)
def test_select(expression, names):
    assert [job.name for job in select(JOBS, expression)] == names


@pytest.mark.parametrize("expression", ["labels.a", "=b", "a=b OR c=d", "a==b c"])
def test_nonsense_is_refused(expression):
    with pytest.raises(ApiError, match="Invalid filter expression"):
        select(JOBS, expression)


def test_pages_follow_each_other():
    first, token = page(JOBS, 2, "")
    second, end = page(JOBS, 2, token)
    assert [job.name for job in first + second] == ["one", "two", "three"]
    assert end == ""


@pytest.mark.parametrize(("size", "token"), [(-1, ""), (1, "nonsense!"), (1, "LTU=")])
def test_bad_pages_are_refused(size, token):
    with pytest.raises(ApiError):
        page(JOBS, size, token)
