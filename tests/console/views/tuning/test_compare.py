import re
from datetime import timedelta

import pytest

from jobs.models import Metric
from tests.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def words(response):
    return " ".join(response.content.decode().split())


def query(*jobs):
    return "&".join(f"job={job.pk}" for job in jobs)


def compared(visitor, *jobs, rest=""):
    return visitor.get(f"/tuning/compare/?{query(*jobs)}{rest}")


def labels(response):
    return [str(line.label) for line in response.context["settings"]]


def two():
    data = factories.dataset()
    return (
        factories.job(display_name="A", dataset=data, learning_rate=0.0001),
        factories.job(display_name="B", dataset=data, learning_rate=0.0002, epochs=5),
    )


def test_only_what_differs_is_shown(visitor):
    response = compared(visitor, *two())
    assert labels(response) == ["Epochs", "Learning rate"]
    assert "Also show 14 identical settings" in words(response)


def test_everything_is_shown_when_asked_for(visitor):
    response = compared(visitor, *two(), rest="&all")
    assert (len(labels(response)), words(response).count('<tr class="differs">')) == (16, 2)


def test_equal_settings_are_said_to_be_equal(visitor):
    data = factories.dataset()
    assert "All settings are the same." in words(compared(visitor, *[factories.job(dataset=data) for _ in "ab"]))


def test_the_last_figures_stand_side_by_side(visitor):
    first, second = two()
    first.train_loss, first.started_at, first.ended_at = 1.25, factories.NOW, factories.NOW + timedelta(minutes=2)
    first.save()
    tag = "/eval_fraction_of_correct_next_step_preds"
    for step, value in ((1, 0.5), (2, 0.75)):
        Metric.objects.create(job=second, tag=tag, step=step, value=value, wall_time=factories.NOW)
    figures = {str(line.label): line.values for line in compared(visitor, first, second).context["figures"]}
    assert figures["Training loss"] == ["1.250", "–"]
    assert figures["Validation token accuracy"] == ["–", "0.750"]
    assert figures["Duration"] == ["2 min 0 s", "–"]


def test_curves_lie_on_the_same_chart(visitor):
    first, second = two()
    for job, step, value in ((first, 1, 3.0), (second, 1, 4.0), (second, 2, 2.0)):
        at = factories.NOW + timedelta(seconds=step)
        Metric.objects.create(job=job, tag="/train_total_loss", step=step, value=value, wall_time=at)
    groups = visitor.get(f"/tuning/compare/metrics.json?{query(first, second)}").json()["groups"]
    assert [(one["label"], one["run"], one["points"]) for one in groups[0]["series"]] == [
        ("1. A", 1, [[1, 3.0, 0.0]]),
        ("2. B", 2, [[1, 4.0, 0.0], [2, 2.0, 1.0]]),
    ]
    assert groups[1]["series"] == []


def test_with_one_job_more_are_offered(visitor):
    first, second = two()
    other = factories.job(display_name="C", base_model="google/gemma3@gemma-3-27b-it")
    text = words(compared(visitor, first))
    offered = re.findall(r'type="checkbox" name="job" value="([^"]+)"', text)
    assert (offered, str(other.pk) in text) == ([str(second.pk)], False)


def test_with_nothing_it_says_what_to_do(visitor):
    assert "Nothing to compare yet" in words(visitor.get("/tuning/compare/"))


def test_more_than_six_are_cut_and_it_is_said(visitor):
    data = factories.dataset()
    response = compared(visitor, *[factories.job(dataset=data) for _ in range(7)])
    assert (len(response.context["jobs"]), "You can compare up to six jobs" in words(response)) == (6, True)


def test_other_peoples_jobs_and_nonsense_are_left_out(visitor, team_mate):
    theirs = factories.job(owner=team_mate)
    response = visitor.get(f"/tuning/compare/?{query(theirs, *two())}&job=nonsense")
    assert len(response.context["jobs"]) == 2


@pytest.mark.parametrize("count", [2, 4])
def test_the_queries_do_not_grow_with_the_jobs(visitor, django_assert_num_queries, count):
    data = factories.dataset()
    jobs = [factories.job(dataset=data) for _ in range(count)]
    with django_assert_num_queries(6):
        compared(visitor, *jobs)


def test_every_curve_of_the_jobs_has_a_chart(visitor):
    """Also one that only one of them has; the known ones first."""
    first, second = two()
    reported = {"/train_total_loss": first, "/eval_perplexity": first, "reward/<mean>": second, "aux": second}
    for tag, job in reported.items():
        Metric.objects.create(job=job, tag=tag, step=1, value=0.5, wall_time=factories.NOW)
    page = compared(visitor, first, second)
    titles = ["Perplexity · Validation", "aux", "reward/<mean>"]
    assert list(page.context["others"].values()) == titles
    groups = visitor.get(f"/tuning/compare/metrics.json?{query(first, second)}").json()["groups"]
    curves = {group["title"]: [one["label"] for one in group["series"]] for group in groups if group["series"]}
    assert curves == {"Training loss": ["1. A"], titles[0]: ["1. A"], "aux": ["2. B"], "reward/<mean>": ["2. B"]}
    found = set(re.findall(r'data-chart-group-value="([^"]+)"', page.content.decode()))
    assert found == {group["key"] for group in groups}


def test_a_curve_that_nobody_knows_is_thinned_out_when_jobs_are_compared(visitor):
    first, second = two()
    Metric.objects.bulk_create(
        Metric(job=first, tag=tag, step=step, value=0.5, wall_time=factories.NOW)
        for step in range(601)
        for tag in ("aux", "/train_total_loss")
    )
    groups = visitor.get(f"/tuning/compare/metrics.json?{query(first, second)}").json()["groups"]
    points = {group["title"]: len(curve["points"]) for group in groups for curve in group["series"]}
    assert points == {"Training loss": 601, "aux": 201}
