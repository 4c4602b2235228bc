import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from console.forms import row_limits
from jobs.models import Dataset
from tests import factories

pytestmark = pytest.mark.django_db
GOOD = b'{"prompt": "Hello?", "completion": "Ahoy!"}\n'
BAD = GOOD + b'not json\n{"prompt": "x"}\n'


@pytest.fixture
def signed_in(client, owner):
    client.force_login(owner)
    return client


def upload(client, content, name="", **headers):
    file = SimpleUploadedFile("rows.jsonl", content)
    return client.post(reverse("dataset-upload"), {"file": file, "name": name}, headers=headers)


def test_an_upload_is_checked_and_its_report_is_shown(signed_in, owner):
    response = upload(signed_in, GOOD, "Greetings")
    dataset = Dataset.objects.get(owner=owner)
    assert (response.status_code, response["Location"]) == (303, f"/datasets/{dataset.pk}/")
    assert (dataset.name, dataset.valid_rows, dataset.is_usable) == ("Greetings", 1, True)
    content = signed_in.get(response["Location"]).content.decode()
    assert "Ready to use" in content
    assert "Ahoy!" in content


def test_bad_rows_are_reported_line_by_line(signed_in):
    content = signed_in.get(upload(signed_in, BAD)["Location"]).content.decode()
    assert "Not usable yet" in content
    assert '?row=2">2</a>' in content
    assert "Write one JSON object on each line" in content


def test_long_rows_are_said_for_each_limit_of_the_models(signed_in, owner):
    for name in ("3-270m", "3-1b-it", "3-4b-it", "3-12b-it", "3-27b-it"):
        factories.publisher_model(name=f"google/gemma3@gemma-{name}")
    factories.publisher_model(name="google/gemma9@unknown")
    dataset = factories.dataset(owner=owner, rows_over={"2048": 2, "8192": 1})
    assert signed_in.get(f"/datasets/{dataset.pk}/").context["long_rows"] == [
        "2 rows are longer than 2,048 tokens. Their ends are cut off when Gemma 3 270M is tuned.",
        "1 row is longer than 8,192 tokens. Its end is cut off when Gemma 3 12B It, Gemma 3 1B It, Gemma 3 27B It or "
        "Gemma 3 4B It is tuned.",
    ]


def test_many_models_of_one_limit_are_counted():
    names = [f"Model {number}" for number in range(1, 9)]
    sentence = row_limits.rows_too_long_for(Dataset(valid_rows=2, rows_over={"8192": 2}), 8192, names)
    assert sentence == (
        "Every row is longer than 8,192 tokens, too long to tune Model 1, Model 2, Model 3 or 5 other models."
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty."),
        (b"\n\n", "The file has no rows."),
        (b'{"prompt": "caf\xe9"}\n', "UTF-8"),
    ],
)
def test_a_file_that_is_nothing_is_refused_beside_the_field(signed_in, content, words):
    response = upload(signed_in, content, "Greetings", **{"HX-Request": "true"})
    assert response.status_code == 422
    assert words in response.context["form"].errors["file"][0]
    assert 'value="Greetings"' in response.content.decode()
    assert Dataset.objects.count() == 0


def test_the_sample_is_added_once(signed_in):
    places = {signed_in.post(reverse("dataset-sample"))["Location"] for _click in range(2)}
    assert len(places) == Dataset.objects.count() == 1


def test_the_number_of_queries_of_the_list_does_not_grow(signed_in, owner, django_assert_num_queries):
    factories.job(owner=owner)
    with django_assert_num_queries(5):
        response = signed_in.get(reverse("dataset-list"))
    assert [row["uses"] for row in response.context["rows"]] == [1]
    factories.dataset(owner=owner)
    factories.dataset(owner=owner)
    with django_assert_num_queries(5):
        response = signed_in.get(reverse("dataset-list"))
    assert [row["uses"] for row in response.context["rows"]] == [0, 0, 1]


def test_a_validation_set_counts_as_used_too(signed_in, owner):
    validation = factories.dataset(owner=owner)
    factories.job(owner=owner, validation_dataset=validation)
    rows = signed_in.get(reverse("dataset-list")).context["rows"]
    assert [row["uses"] for row in rows] == [1, 1]


def test_an_empty_list_says_what_to_do(signed_in):
    assert "No data sets yet" in signed_in.get(reverse("dataset-list")).content.decode()


def test_every_problem_can_be_downloaded(signed_in):
    place = upload(signed_in, BAD)["Location"]
    response = signed_in.get(f"{place}problems.jsonl")
    rows = [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]
    assert [row["line"] for row in rows] == [2, 3]
    assert response["Content-Disposition"].startswith("attachment")


def test_a_data_set_can_be_deleted(signed_in, owner):
    dataset = factories.dataset(owner=owner)
    response = signed_in.post(reverse("dataset-delete", args=[dataset.pk]))
    assert (response.status_code, response["Location"]) == (303, "/datasets/")
    assert Dataset.objects.count() == 0


def test_a_data_set_in_use_stays(signed_in, owner):
    job = factories.job(owner=owner)
    response = signed_in.post(reverse("dataset-delete", args=[job.dataset_id]))
    assert response.status_code == 409
    assert Dataset.objects.count() == 1


@pytest.mark.parametrize("view", ["dataset-detail", "dataset-problems"])
def test_others_do_not_find_it(signed_in, client, team_mate, stranger, owner, view):
    url = reverse(view, args=[factories.dataset(owner=owner).pk])
    seen = [client.get(url).status_code]
    for other in (team_mate, stranger):
        client.force_login(other)
        seen.append(client.get(url).status_code)
    assert seen == [200, 404, 404]


def test_others_do_not_delete_it(client, stranger, owner):
    client.force_login(stranger)
    assert client.post(reverse("dataset-delete", args=[factories.dataset(owner=owner).pk])).status_code == 404
    assert Dataset.objects.count() == 1
