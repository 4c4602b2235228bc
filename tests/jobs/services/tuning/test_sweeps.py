"""A sweep is all of its jobs or none, once, however often its form is sent."""

from dataclasses import asdict, replace
from decimal import Decimal
from uuid import uuid4

import pytest
from django.utils import timezone

from jobs import errors
from jobs.models import AuditEntry, PublisherModel, SpendingLimits, Sweep, TuningJob
from jobs.services.tuning import jobs, queue
from jobs.services.tuning.sweeps import sweeps
from jobs.services.tuning.sweeps.spec import list_variants, read_values
from jobs.vertex.machine import Memory, TrainingMemory
from tests.support import factories

pytestmark = pytest.mark.django_db
VARIED: dict[str, list[float]] = {"learning_rate": [0.0001, 0.0005], "epochs": [1, 2, 3]}


@pytest.fixture
def spec(owner):
    return factories.tuning_spec(owner=owner, display_name="Captain", output_uri="gs://garden-local/captain")


def list_made():
    rows = TuningJob.objects.order_by("sweep_place")
    return list(rows.values_list("sweep_place", "display_name", "output_uri", "learning_rate", "epochs", "auto_deploy"))


def test_each_combination_is_a_job_with_a_name_and_a_folder_of_its_own(owner, spec):
    sweep = sweeps.create(owner, key=uuid4(), spec=replace(spec, auto_deploy=True), varied=VARIED)
    assert list_made() == [
        (
            place,
            f"Captain (lr {rate}, epochs {epochs})",
            f"gs://garden-local/captain/0{place}",
            float(rate),
            epochs,
            False,
        )
        for place, (rate, epochs) in enumerate([(r, e) for r in ("0.0001", "0.0005") for e in (1, 2, 3)], 1)
    ]
    assert {job.sweep_id for job in TuningJob.objects.all()} == {sweep.pk}
    entries = AuditEntry.objects.order_by("number").values_list("action", flat=True)
    assert list(entries) == ["tuning_job.create"] * 6 + ["tuning_sweep.create"]


def test_the_same_form_twice_is_one_sweep_and_another_form_under_its_key_is_refused(owner, spec):
    key = uuid4()
    first, second = (sweeps.create(owner, key=key, spec=spec, varied=VARIED) for _turn in range(2))
    assert (first, TuningJob.objects.count()) == (second, 6)
    with pytest.raises(errors.KeyReused):
        sweeps.create(owner, key=key, spec=spec, varied={"epochs": [1, 2]})


def test_a_crash_in_the_middle_leaves_nothing_and_the_next_click_makes_all(owner, spec):
    """The fourth folder is taken: as good as a crash after three jobs."""
    taken = factories.job(owner=owner, output_uri="gs://garden-local/captain/04")
    key = uuid4()
    with pytest.raises(errors.InvalidValues):
        sweeps.create(owner, key=key, spec=spec, varied=VARIED)
    left = (list(TuningJob.objects.all()), Sweep.objects.count(), AuditEntry.objects.count())
    assert left == ([taken], 0, 0)
    TuningJob.objects.all().delete()
    sweeps.create(owner, key=key, spec=spec, varied=VARIED)
    assert TuningJob.objects.count() == 6


def test_its_jobs_wait_in_the_queue_in_their_order(owner, spec, settings):
    settings.VERTEX_TUNING_AT_ONCE = 1
    sweeps.create(owner, key=uuid4(), spec=spec, varied=VARIED)
    TuningJob.objects.update(prepared_at=factories.NOW)
    assert [job.sweep_place for job in queue.waiting()] == [1, 2, 3, 4, 5, 6]


def test_a_job_of_it_that_lacks_memory_is_told_before_the_start(owner, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    mode = TrainingMemory(fixed=10**9, rank=0, saving=0, step=0, answer=0, rows={2048: 10**8})
    long = factories.dataset(owner=owner, valid_rows=100, stats={"longest": 2048, "answer_share": 50})
    spec = factories.tuning_spec(owner=owner, dataset=long, tuning_mode="PEFT_ADAPTER")
    told = asdict(Memory(13 * 10**8, 0, {}, 4, {"PEFT_ADAPTER": mode})) | {"told_at": timezone.now().isoformat()}
    model, _is_new = PublisherModel.objects.get_or_create(name=spec.base_model)
    PublisherModel.objects.filter(pk=model.pk).update(data=model.data | {"memory": told})
    said = [sweeps.why_not_start(owner, spec, {"batch_size": sizes}) for sizes in ([1, 2], [1, 4])]
    assert said == [
        "",
        "Doesn't fit: needs about 1.4 GB of memory, and 1.3 GB are free. It fits with a batch size of 2.",
    ]


def test_what_all_of_them_cost_counts_together(owner, spec):
    large = factories.dataset(owner=owner, token_estimate=20_000_000)
    spec = factories.tuning_spec(owner=owner, base_model="google/gemma3@gemma-3-27b-it", dataset=large)
    one = jobs.price_of(spec)
    assert one > 1
    SpendingLimits.objects.create(pk=1, person_usd=round(one * 3), allows_unknown=True)
    varied = {"learning_rate": [0.0001, 0.0005, 0.001, 0.002]}
    assert "daily limit" in sweeps.why_not_start(owner, spec, varied)
    with pytest.raises(errors.SpendingLimitReached):
        sweeps.create(owner, key=uuid4(), spec=spec, varied=varied)
    assert TuningJob.objects.count() == 0
    SpendingLimits.objects.update(person_usd=Decimal(100_000))
    assert sweeps.create(owner, key=uuid4(), spec=spec, varied=varied).jobs.count() == 4


@pytest.mark.parametrize(
    ("varied", "field", "sentence"),
    [
        ({"epochs": [1, 101]}, "epochs", "101: Enter a whole number of epochs from 1 to 100."),
        ({"learning_rate": [0.1, 2.0]}, "learning_rate", "2: Enter a number above 0 and up to 1, such as 0.0002."),
        ({"adapter_size": [8, 7]}, "adapter_size", "7: Choose one of these sizes: 1, 2, 4, 8, 16, 32."),
        ({"seed": [1, 2]}, "seed", "The trainer doesn't take this setting."),
        ({"epochs": [*range(1, 26)]}, "", "A sweep can have at most 24 jobs. These values make 25. Remove some."),
        (
            {"epochs": [1], "batch_size": [1], "learning_rate": [1.0], "adapter_size": [8]},
            "",
            "Vary at most 3 settings.",
        ),
    ],
)
def test_values_that_may_not_be_start_nothing(owner, spec, varied, field, sentence):
    with pytest.raises(errors.InvalidValues) as refused:
        sweeps.create(owner, key=uuid4(), spec=spec, varied=varied)
    assert [(one.field, one.sentence) for one in refused.value.problems] == [(field, sentence)]
    assert TuningJob.objects.count() == 0


def test_the_trainer_of_this_computer_takes_more(owner, spec, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    sweep = sweeps.create(owner, key=uuid4(), spec=spec, varied={"seed": [1, 2], "weight_decay": [0.0, 0.1]})
    assert list(sweep.jobs.order_by("sweep_place").values_list("seed", "weight_decay")) == [
        (1, 0.0), (1, 0.1), (2, 0.0), (2, 0.1),
    ]  # fmt: skip


def test_a_long_name_makes_room_for_what_varies(spec):
    names = [one.display_name for one in list_variants(replace(spec, display_name="x" * 128), VARIED)]
    assert ({len(name) for name in names}, len(set(names))) == ({128}, 6)


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("epochs", "1, 2,3", [1, 2, 3]), ("learning_rate", "1e-4 0.0002", [0.0001, 0.0002]),
        ("epochs", "1.5, 2", "“1.5” is no value of this setting."),
        ("seed", "1, 1", "The value 1 is there twice."), ("seed", "1", "Enter at least two values, such as 1, 2."),
        ("learning_rate", "nan, 1", "“nan” is no value of this setting."),
        ("learning_rate", "1e400, 1", "“1e400” is no value of this setting."),
        ("seed", "9" * 5000 + ", 1", "“" + "9" * 5000 + "” is no value of this setting."),
    ],
)  # fmt: skip
def test_values_are_read(name, text, values):
    found: object
    try:
        found = read_values(name, text)
    except ValueError as error:
        found = str(error)
    assert found == values


def test_cancelling_all_leaves_what_has_ended(owner):
    sweep = factories.sweep()
    first, second = sweep.jobs.order_by("sweep_place")
    TuningJob.objects.filter(pk=first.pk).update(state="SUCCEEDED", phase="CLOSED")
    assert [job.pk for job in sweeps.cancel_all(sweep)] == [second.pk]
    assert list(sweep.jobs.order_by("sweep_place").values_list("state", flat=True)) == ["SUCCEEDED", "CANCELLED"]
    assert list(AuditEntry.objects.values_list("action", "object_id")) == [("tuning_job.cancel", str(second.pk))]
