import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from jobs.models import Dataset
from jobs.services.datasets import row_limits
from tests.support import factories
from tests.support.stored import path_of

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
    assert "Write one JSON object per line" in content


def test_long_rows_are_said_for_each_limit_of_the_models(signed_in, owner):
    for name in ("3-270m", "3-1b-it", "3-4b-it", "3-12b-it", "3-27b-it"):
        factories.publisher_model(name=f"google/gemma3@gemma-{name}")
    factories.publisher_model(name="google/gemma9@unknown")
    dataset = factories.dataset(owner=owner, rows_over={"2048": 2, "8192": 1})
    assert signed_in.get(f"/datasets/{dataset.pk}/").context["long_rows"] == [
        "2 rows are longer than 2,048 tokens. Their ends are truncated when you tune Gemma 3 270M.",
        "1 row is longer than 8,192 tokens. Its end is truncated when you tune Gemma 3 12B It, Gemma 3 1B It, "
        "Gemma 3 27B It or Gemma 3 4B It.",
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
    with django_assert_num_queries(7):
        response = signed_in.get(reverse("dataset-list"))
    assert [row["uses"] for row in response.context["rows"]] == [1]
    factories.dataset(owner=owner)
    factories.dataset(owner=owner)
    with django_assert_num_queries(7):
        response = signed_in.get(reverse("dataset-list"))
    assert [row["uses"] for row in response.context["rows"]] == [0, 0, 1]


def test_a_validation_set_counts_as_used_too(signed_in, owner):
    validation = factories.dataset(owner=owner)
    factories.job(owner=owner, validation_dataset=validation)
    rows = signed_in.get(reverse("dataset-list")).context["rows"]
    assert [row["uses"] for row in rows] == [1, 1]


def test_an_empty_list_says_what_to_do(signed_in):
    assert "No datasets yet" in signed_in.get(reverse("dataset-list")).content.decode()


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


def add(client, content, name, title=""):
    return client.post(reverse("dataset-upload"), {"file": SimpleUploadedFile(name, content), "name": title})


def page(client, dataset, part="", **query):
    return client.get(f"/datasets/{dataset.pk}/{part}", query).content.decode()


def test_a_file_that_is_there_already_is_not_stored_again(signed_in):
    first = add(signed_in, GOOD, "a.jsonl")["Location"]
    response = add(signed_in, GOOD, "b.jsonl", "Other")
    assert (response["Location"], Dataset.objects.count()) == (first, 1)
    assert "You already have this file: it is “a”, version 1." in signed_in.get(first).content.decode()


def test_a_file_under_the_same_name_is_a_new_version(signed_in):
    first = add(signed_in, GOOD, "a.jsonl")["Location"]
    latest = add(signed_in, GOOD * 2, "a.jsonl")["Location"]
    content = signed_in.get(f"{latest}versions/").content.decode()
    assert "1 added, 0 removed, 1 unchanged" in content
    assert "This is an older version." in signed_in.get(first).content.decode()
    rows = signed_in.get("/datasets/").context["rows"]
    assert [(row["dataset"].version, row["versions"]) for row in rows] == [(2, 2)]


@pytest.mark.parametrize(
    ("sort", "names"),
    [("", "cab"), ("name", "abc"), ("-name", "cba"), ("-size", "bca"), ("-rows", "acb"), ("wrong", "cab")],
)
def test_the_list_is_sorted_by_a_column(signed_in, owner, sort, names):
    for name, size, rows in (("b", 30, 1), ("a", 10, 3), ("c", 20, 2)):
        factories.dataset(owner=owner, name=name, byte_size=size, valid_rows=rows)
    shown = signed_in.get(f"/datasets/?sort={sort}").context["rows"]
    assert "".join(row["dataset"].name for row in shown) == names


def test_the_list_can_be_searched(signed_in, owner):
    for name in ("Pirates", "Farmers"):
        factories.dataset(owner=owner, name=name)
    rows = signed_in.get("/datasets/", {"q": "pira"}).context["rows"]
    assert [row["dataset"].name for row in rows] == ["Pirates"]
    assert "No datasets found" in signed_in.get("/datasets/", {"q": "%"}).content.decode()


def test_equal_names_are_told_apart(signed_in, owner):
    for letter in "ab":
        factories.dataset(owner=owner, file_name=f"{letter}.jsonl", sha256=letter * 64)
    content = signed_in.get("/datasets/").content.decode()
    assert [f"{letter}.jsonl · {letter * 8}" in content for letter in "abc"] == [True, True, False]


def test_a_table_is_converted_with_the_columns_that_were_chosen(signed_in):
    place = add(signed_in, b"x;y\nHi;Ahoy\n", "a.csv")["Location"]
    content = signed_in.get(place, {"prompt": "1", "answer": "0", "system": "-1"}).content.decode()
    assert "This looks like CSV or TSV." in content
    assert content.index("Ahoy") < content.index("Hi</div>")
    values = {"prompt": "1", "answer": "0", "system": "-1", "has_header": "on", "name": "Turned"}
    made = Dataset.objects.get(pk=signed_in.post(f"{place}convert/", values)["Location"].split("/")[2])
    assert json.loads(path_of(made).read_text()) == {"prompt": "Ahoy", "completion": "Hi"}


def test_rows_that_cannot_be_converted_are_named_before_they_are_left_out(signed_in):
    talk = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ahoy"}]
    content = json.dumps([{"conversations": talk}, {"conversations": []}]).encode()
    place = add(signed_in, content, "a.json")["Location"]
    response = signed_in.post(f"{place}convert/", {"name": "New"}, headers={"HX-Request": "true"})
    assert (response.status_code, response.context["conversion"].bad) == (422, 1)
    assert signed_in.post(f"{place}convert/", {"name": "New", "leave_out": "on"}).status_code == 303


def test_the_same_column_twice_is_refused(signed_in):
    place = add(signed_in, b"x;y\nHi;Ahoy\n", "a.csv")["Location"]
    response = signed_in.post(f"{place}convert/", {"prompt": "1", "answer": "1", "system": "-1", "name": "New"})
    assert (response.status_code, Dataset.objects.count()) == (422, 1)


def test_a_split_leads_to_the_training_part(signed_in, owner):
    dataset = factories.dataset(owner=owner)
    place = signed_in.post(f"/datasets/{dataset.pk}/split/", {"share": "10", "seed": "1"})["Location"]
    content = signed_in.get(place).content.decode()
    assert "Questions (train)" in content
    assert "Paired with" in content


@pytest.mark.parametrize("share", ["", "0", "21", "x", "9" * 400])
def test_a_share_that_cannot_be_is_refused(signed_in, owner, share):
    dataset = factories.dataset(owner=owner)
    response = signed_in.post(
        f"/datasets/{dataset.pk}/split/", {"share": share, "seed": "1"}, headers={"HX-Request": "true"}
    )
    assert (response.status_code, response.context["split_form"].errors["share"]) == (
        422, ["Enter a whole number from 1 to 20."],
    )  # fmt: skip


def test_the_picture_marks_the_limit_and_has_a_table(signed_in, owner):
    stats = {"with_template": True, "median": 9, "p95": 3000, "longest": 3000, "longest_line": 7, "answer_share": 40}
    bins = [[1536, 2048, 3], [2048, 3072, 1]]
    factories.publisher_model(name="google/gemma3@gemma-3-270m")
    dataset = factories.dataset(owner=owner, stats=stats | {"bins": bins}, rows_over={"2048": 1})
    content = page(signed_in, dataset)
    assert "1 row is longer than 2,048 tokens." in content
    assert content.count('<rect class="bar') == 2
    assert '<line class="limit" x1="50.00%"' in content
    assert "2,049–3,072" in content


def test_lengths_that_were_not_reckoned_as_the_total_are_measured_anew(signed_in, owner):
    old = {"median": 9, "p95": 30, "longest": 30, "longest_line": 7, "answer_share": 40, "bins": [[8, 12, 4]]}
    dataset = factories.dataset(owner=owner, stats=old)
    before = page(signed_in, dataset)
    signed_in.post(f"/datasets/{dataset.pk}/check/")
    after = page(signed_in, dataset)
    assert [("Measure the rows" in text, '<rect class="bar' in text) for text in (before, after)] == [
        (True, False), (False, True),
    ]  # fmt: skip


def test_one_token_is_singular(signed_in, owner):
    assert "≈ 1 token</span>" in page(signed_in, factories.dataset(owner=owner, token_estimate=1))


def test_rows_are_read_from_a_line_on_and_found(signed_in, owner):
    dataset = factories.dataset(owner=owner)
    assert 'id="row-12"' in page(signed_in, dataset, "rows/", row="12")
    assert "1 row found up to row 12." in page(signed_in, dataset, "rows/", q="answer 7.")
    assert "There are no more rows." in page(signed_in, dataset, "rows/", row="99999999999")


def test_one_row_is_given_as_it_stands(signed_in, owner):
    dataset = factories.dataset(owner=owner)
    response = signed_in.get(f"/datasets/{dataset.pk}/rows/2.json")
    assert (response.json(), response["Content-Type"]) == (factories.ROWS[1], "application/json; charset=utf-8")
    assert signed_in.get(f"/datasets/{dataset.pk}/rows/13.json").status_code == 404


def test_the_file_can_be_downloaded(signed_in, owner):
    dataset = factories.dataset(owner=owner, file_name='a"b.jsonl')
    response = signed_in.get(f"/datasets/{dataset.pk}/file/")
    assert b"".join(response.streaming_content) == path_of(dataset).read_bytes()
    assert response["Content-Disposition"].startswith("attachment")


def test_a_file_that_is_gone_is_said(signed_in, owner):
    dataset = factories.dataset(owner=owner)
    path_of(dataset).unlink()
    answers = [signed_in.get(f"/datasets/{dataset.pk}/{part}").status_code for part in ("", "rows/", "file/")]
    assert answers == [200, 409, 409]


def test_a_name_is_changed_unless_it_is_taken(signed_in, owner):
    dataset = factories.dataset(owner=owner)
    factories.dataset(owner=owner, name="Taken")
    url = f"/datasets/{dataset.pk}/edit/"
    taken = signed_in.post(url, {"name": "Taken", "description": ""}, headers={"HX-Request": "true"})
    assert (taken.status_code, "already have" in taken.content.decode()) == (422, True)
    assert signed_in.post(url, {"name": "Ships", "description": "All of them"}).status_code == 303
    dataset.refresh_from_db()
    assert (dataset.name, dataset.description) == ("Ships", "All of them")


def test_the_jobs_that_keep_it_are_named(signed_in, owner):
    job = factories.job(owner=owner, display_name="Captain")
    factories.job(owner=owner, dataset=job.dataset, display_name="Mate")
    reason = "The tuning job Mate and 1 other use this dataset, so you can&#x27;t delete it."
    assert reason in page(signed_in, job.dataset)
    assert reason in signed_in.post(f"/datasets/{job.dataset_id}/delete/").content.decode()


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_number_of_queries_of_a_page_does_not_grow(signed_in, owner, django_assert_num_queries, jobs):
    dataset = factories.dataset(owner=owner)
    for _number in range(jobs):
        factories.job(owner=owner, dataset=dataset)
    with django_assert_num_queries(8):
        page(signed_in, dataset)
    with django_assert_num_queries(8):
        page(signed_in, dataset, "versions/")
