import pytest
from django.utils import timezone
from selectolax.lexbor import LexborHTMLParser

from console.templatetags.spending import about_money
from jobs.models import Metric, PublisherModel, Sweep, TuningJob
from jobs.services.tuning import queue
from tests.console.views.tuning.test_new import Wizard, training
from tests.support import factories

pytestmark = pytest.mark.django_db
COUNTED = {factories.BASE_MODEL: {"tokens": 1_000_000, "rows": 10, "asked_at": timezone.now().isoformat()}}
VARIED = {"sweep_1": "learning_rate", "sweep_1_values": "0.0001, 0.0005", "sweep_2": "epochs", "sweep_2_values": "2 3"}


@pytest.fixture
def signed_in(client, owner, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    client.force_login(owner)
    return client


@pytest.fixture
def wizard(signed_in):
    factories.publisher_model(display_name="Gemma 3 270M")
    return Wizard(signed_in, signed_in.get("/tuning/new/")["Location"])


def words(response):
    return " ".join(LexborHTMLParser(response.text).body.text().split())


def table(page):
    rows = LexborHTMLParser(page.text).css("#sweep-jobs tbody tr")
    return [[" ".join(cell.text().split()) for cell in row.css("th, td")] for row in rows]


def ended(job, train, evaluated, **values):
    values = {"state": "SUCCEEDED", "phase": "CLOSED", "train_loss": train, "eval_loss": evaluated} | values
    TuningJob.objects.filter(pk=job.pk).update(**values)


def test_from_the_form_to_the_page_of_the_sweep(wizard, signed_in):
    data = factories.dataset()
    wizard.fill(data)
    wizard.post("training", **training(data, **VARIED))
    review = words(wizard.get("deployment"))
    assert "A sweep of 4 jobs" in review
    assert "4 jobs: Learning rate 0.0001, 0.0005 × Number of epochs 2, 3" in review
    assert "Start 4 jobs" in review
    first, second = (wizard.post("start", accepts_licence="on") for _turn in range(2))
    place = f"/tuning/sweeps/{wizard.pk}/"
    assert (first["Location"], second["Location"], wizard.get("name")["Location"]) == (place, place, place)
    assert (Sweep.objects.count(), TuningJob.objects.count()) == (1, 4)
    page = signed_in.get(place)
    assert [row[1:3] for row in table(page)] == [["0.0001", "2"], ["0.0001", "3"], ["0.0005", "2"], ["0.0005", "3"]]
    job = TuningJob.objects.first()
    assert f'href="{place}"' in signed_in.get(f"/tuning/jobs/{job.pk}/").text


def summary(response):
    found = LexborHTMLParser(response.text).css_first("#summary")
    names, values = found.css("dt"), found.css("dd")
    text = {one.text().strip(): " ".join(two.text().split()) for one, two in zip(names, values, strict=True)}
    return {name: text[name] for name in text if name not in {"Name", "Base model", "Output directory", "Training"}}


def test_the_summary_counts_all_jobs_of_the_sweep_also_while_it_is_typed(wizard, settings):
    """2 × (2 + 3) epochs instead of 3."""
    settings.VERTEX_API_ENDPOINT = ""
    data = factories.dataset(token_counts=COUNTED)
    wizard.fill(data)
    one = wizard.get("training", dataset=str(data.pk), epochs="3")
    typed = wizard.get("training", dataset=str(data.pk), epochs="3", **VARIED)
    price = one.context["estimate"].usd_per_million_tokens
    assert summary(one) == {
        "Rows × epochs": "12 × 3", "Tokens": "≈ 3.0 M", "Time": "No estimate yet", "Cost": about_money(3 * price),
    }  # fmt: skip
    whole = {
        "Jobs": "4", "Tokens, all jobs": "≈ 10.0 M", "Time, all jobs one after the other": "No estimate yet",
        "Cost, all jobs": about_money(10 * price),
    }  # fmt: skip
    assert summary(typed) == whole
    assert "The jobs of a sweep are counted together." in words(typed)
    wizard.post("training", **training(data, **VARIED))
    assert summary(wizard.get("deployment")) == whole


@pytest.mark.parametrize("values", ["0.0001", "0.0001, x", "2, 500", ""])
def test_what_is_no_sweep_yet_is_counted_as_one_job(wizard, values):
    data = factories.dataset()
    wizard.fill(data)
    page = wizard.get("training", dataset=str(data.pk), epochs="3", sweep_1="epochs", sweep_1_values=values)
    assert (page.status_code, page.context["totals"], page.context["estimate"].epochs) == (200, None, 3)


def test_a_batch_size_that_varies_makes_a_difference_to_the_time(wizard):
    """Of 36 rows in steps of 1 and of 4, with 2 s for loading and saving and 1 s for each step."""
    model = PublisherModel.objects.get()
    model.data["paces"] = {"PEFT_ADAPTER": [1, 1, 0.001]}
    model.save()
    data = factories.dataset(token_counts=COUNTED)
    wizard.fill(data)
    varied = {"sweep_1": "batch_size", "sweep_1_values": "1, 4", "tuning_mode": "PEFT_ADAPTER"}
    totals = wizard.get("training", dataset=str(data.pk), epochs="3", **varied).context["totals"]
    assert (totals.count, totals.seconds) == (2, pytest.approx(2 * (2 + 3000) + 36 + 9))


def test_wrong_values_are_kept_with_their_message(wizard):
    data = factories.dataset()
    wizard.fill(data)
    refused = wizard.post("training", **training(data, **VARIED | {"sweep_2_values": "2, 500"}))
    page = LexborHTMLParser(refused.text)
    assert (refused.status_code, page.css_first("[name=sweep_2_values]").attributes["value"]) == (422, "2, 500")
    assert "500: Enter a whole number of epochs from 1 to 100." in words(refused)
    twice = wizard.post("training", **training(data, **VARIED | {"sweep_2": "learning_rate"}))
    assert "Choose each setting once." in words(twice)


def test_the_best_is_marked_and_the_table_sorted(signed_in):
    sweep = factories.sweep()
    first, second = sweep.jobs.order_by("sweep_place")
    place = f"/tuning/sweeps/{sweep.pk}/"
    assert "Best" not in words(signed_in.get(place))
    ended(first, 0.5, 1.5)
    ended(second, 0.9, 1.25)
    page = signed_in.get(place)
    assert [row[0].endswith("Best") for row in table(page)] == [False, True]
    assert "Best: the lowest validation loss" in words(page)
    assert [row[4] for row in table(signed_in.get(place, {"sort": "eval"}))] == ["1.250", "1.500"]
    assert [row[4] for row in table(signed_in.get(place, {"sort": "-eval"}))] == ["1.500", "1.250"]
    TuningJob.objects.update(eval_loss=None)
    page = signed_in.get(place, {"sort": "nonsense"})
    assert [row[0].endswith("Best") for row in table(page)] == [True, False]
    assert "the lowest training loss at the end" in words(page)


def test_the_curves_of_all_jobs_lie_over_each_other(signed_in):
    sweep = factories.sweep()
    for job in sweep.jobs.all():
        Metric.objects.create(job=job, tag="/train_total_loss", step=1, value=1.0, wall_time=timezone.now())
    groups = signed_in.get(f"/tuning/sweeps/{sweep.pk}/metrics.json").json()["groups"]
    assert [(group["key"], len(group["series"])) for group in groups] == [("train-loss", 2), ("eval-loss", 0)]


def test_a_chart_that_stays_empty_says_why(signed_in):
    sweep = factories.sweep()
    charts = LexborHTMLParser(signed_in.get(f"/tuning/sweeps/{sweep.pk}/").text).css("figure.chart")
    assert [chart.attributes["data-chart-empty-value"] for chart in charts] == [
        "Values appear after the first steps.",
        "There are no validation curves, because the jobs have no validation dataset.",
    ]
    for job in sweep.jobs.all():
        ended(job, None, None, validation_dataset=factories.dataset())
    charts = LexborHTMLParser(signed_in.get(f"/tuning/sweeps/{sweep.pk}/").text).css("figure.chart")
    assert [chart.attributes["data-chart-empty-value"] for chart in charts] == ["No values were recorded."] * 2


def test_all_jobs_are_cancelled_at_once(signed_in):
    sweep = factories.sweep()
    signed_in.post(f"/tuning/sweeps/{sweep.pk}/cancel/")
    assert set(sweep.jobs.values_list("state", flat=True)) == {"CANCELLED"}
    assert "2 of 2 ended" in words(signed_in.get(f"/tuning/sweeps/{sweep.pk}/"))


def test_a_pause_is_shown_on_the_page_of_the_sweep(signed_in):
    sweep = factories.sweep()
    signed_in.post("/tuning/queue/pause/")
    assert "owner paused the queue" in words(signed_in.get(f"/tuning/sweeps/{sweep.pk}/"))


def test_a_pause_is_shown_before_the_start(wizard, owner):
    wizard.fill(factories.dataset())
    assert "paused the queue" not in words(wizard.get("deployment"))
    queue.pause(owner)
    assert "owner paused the queue" in words(wizard.get("deployment"))
