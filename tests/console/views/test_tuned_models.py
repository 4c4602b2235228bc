import re
from datetime import timedelta

import pytest

from tests.support import factories
from tests.support.markup import tight

pytestmark = pytest.mark.django_db
CHECKPOINTS = [{"checkpoint_id": "1", "epoch": 1, "step": 9}, {"checkpoint_id": "2", "epoch": 2, "step": 18}]


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


@pytest.fixture
def dataset(owner):
    return factories.dataset(owner=owner)


def tuned(dataset, *, day=0, **values):
    defaults = {"state": "SUCCEEDED", "phase": "CLOSED", "dataset": dataset, "checkpoints": CHECKPOINTS}
    return factories.job(created_at=factories.NOW + timedelta(days=day), **defaults | values)


def words(response):
    return " ".join(response.content.decode().split())


def rows(response):
    """(name, version) of each row."""
    return re.findall(r'<th scope="row"><a[^>]+>([^<]+)</a>.*?<td class="num">(\d+)</td>', tight(words(response)))


def test_an_empty_list_says_what_to_do(visitor):
    assert "A model appears here after a tuning job succeeds." in words(visitor.get("/models/"))


def test_each_success_is_a_version_of_its_name(visitor, dataset, stranger):
    tuned(dataset, display_name="Bot")
    tuned(dataset, display_name="Bot", day=2)
    tuned(dataset, display_name="Other", day=1, state="PARTIALLY_SUCCEEDED")
    tuned(dataset, display_name="Bot", state="FAILED")
    tuned(dataset, display_name="Bot", day=-1, owner=stranger)
    assert rows(visitor.get("/models/")) == [("Bot", "2"), ("Other", "1"), ("Bot", "1")]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?q=bo", ["Bot"]),
        ("?q=270m+other", ["Other"]),
        ("?sort=name", ["Bot", "Other"]),
        ("?sort=-name", ["Other", "Bot"]),
    ],
)
def test_filtered_and_sorted_by_the_address(visitor, dataset, query, found):
    tuned(dataset, display_name="Bot")
    tuned(dataset, display_name="Other")
    assert [name for name, _version in rows(visitor.get(f"/models/{query}"))] == found


def test_nothing_found_keeps_the_search(visitor, dataset):
    tuned(dataset)
    text = words(visitor.get("/models/?q=zzz"))
    assert ('value="zzz"' in text, "No tuned models match" in text) == (True, True)


def test_pages_follow_each_other_in_the_order_that_was_chosen(visitor, dataset):
    for number in range(51):
        tuned(dataset, display_name=f"M{number:02}")
    first = visitor.get("/models/?sort=name")
    second = visitor.get(f"/models/{first.context['page'].next_url}")
    assert [name for name, _version in rows(second)] == ["M50"]
    assert (second.context["page"].is_first, second.context["page"].next_url) == (False, "")


@pytest.mark.parametrize("after", ["", "x", "M_1", "\x00_00000000-0000-0000-0000-000000000000", "_" * 50])
def test_an_odd_key_means_the_beginning(visitor, dataset, after):
    tuned(dataset)
    assert len(rows(visitor.get("/models/", {"after": after, "sort": "created"}))) == 1


def test_the_default_checkpoint_is_the_last(visitor, dataset):
    job = tuned(dataset)
    assert "2 (step 18)" in words(visitor.get("/models/"))
    text = words(visitor.get(f"/models/{job.pk}/"))
    assert re.findall(
        r'<th scope="row">(\d)</th><td class="num">2</td><td class="num">18</td><td><span', tight(text)
    ) == ["2"]


def test_another_checkpoint_becomes_the_default(visitor, dataset):
    checkpoints = [{"checkpoint_id": str(number), "epoch": number, "step": 9 * number} for number in (1, 2)]
    job = tuned(dataset, tuning_mode="FULL", adapter_size=None, checkpoints=checkpoints)
    page = f"/models/{job.pk}/"
    assert "Set as default" in words(visitor.get(page))
    response = visitor.post(f"/tuning/jobs/{job.pk}/default-checkpoint/", {"checkpoint": "1", "next": page})
    job.refresh_from_db()
    assert (response.url, job.default_checkpoint) == (page, "1")


def test_a_model_says_where_it_is_and_where_it_comes_from(visitor, dataset):
    job = tuned(dataset, tuned_model="projects/p/locations/l/models/77")
    endpoint = factories.ready_endpoint(job=job, artifact_uri="gs://b/final", display_name="Front desk")
    text = words(visitor.get(f"/models/{job.pk}/"))
    for shown in (
        "projects/p/locations/l/models/77", "gs://garden-local/output/my-model/postprocess/node-0/checkpoints/final",
        f"/endpoints/{endpoint.pk}/", "Front desk", f"/datasets/{dataset.pk}/", f"/tuning/jobs/{job.pk}/",
        f"/studio/chat/?endpoint={endpoint.pk}", f"/tuning/jobs/{job.pk}/continue/", "The model is already deployed.",
    ):  # fmt: skip
        assert shown in text


def test_what_is_not_deployed_can_be(visitor, dataset):
    job = tuned(dataset)
    text = words(visitor.get(f"/models/{job.pk}/"))
    assert ("No endpoint serves this version." in text, f'action="/tuning/jobs/{job.pk}/deploy/"' in text) == (
        True,
        True,
    )


def test_its_versions_are_listed(visitor, dataset):
    first, second = tuned(dataset, display_name="Bot"), tuned(dataset, display_name="Bot", day=1)
    text = words(visitor.get(f"/models/{second.pk}/"))
    assert (f'<a href="/models/{first.pk}/">1</a>' in text, "this version" in text) == (True, True)


@pytest.mark.parametrize("state", ["RUNNING", "FAILED", "CANCELLED"])
def test_a_job_without_a_model_is_none(visitor, dataset, state):
    assert visitor.get(f"/models/{tuned(dataset, state=state).pk}/").status_code == 404


def test_other_peoples_models_are_not_there(visitor, stranger):
    theirs = tuned(factories.dataset(owner=stranger), owner=stranger)
    assert visitor.get(f"/models/{theirs.pk}/").status_code == 404


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_takes_the_same_queries_for_one_row_and_for_three(visitor, dataset, django_assert_num_queries, count):
    for _ in range(count):
        factories.ready_endpoint(job=tuned(dataset), artifact_uri="gs://b/final")
    with django_assert_num_queries(5):
        visitor.get("/models/")


@pytest.mark.parametrize("count", [1, 3])
def test_a_model_takes_the_same_queries_for_one_version_and_for_three(
    visitor, dataset, django_assert_num_queries, count
):
    jobs = [tuned(dataset) for _ in range(count)]
    with django_assert_num_queries(9):
        visitor.get(f"/models/{jobs[0].pk}/")
