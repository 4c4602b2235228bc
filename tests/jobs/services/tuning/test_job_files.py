import json
import random
from dataclasses import asdict

import pytest

from jobs.services.tuning import job_files
from jobs.services.tuning.spec import TuningSpec
from tests.support import factories

pytestmark = pytest.mark.django_db
SHA = "a" * 64
NUL, HALF = (json.dumps({"format": job_files.FORMAT, "version": 1, key: {}}) for key in ("a\0b", "\ud800"))


def spec(**values):
    if "dataset" not in values:
        values["dataset"] = factories.dataset(sha256=SHA)
    return TuningSpec(
        **{"display_name": "Ahoy", "base_model": "a/b@c", "output_uri": "gs://bucket/x", "adapter_size": 8, **values}
    )


def text_of(job, **changes):
    """The file of a job, with `step__field` changed to a value, or taken out where the value is `...`."""
    content = job_files.dump(job)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = content
        for name in parents:
            place = place[name]
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return json.dumps(content)


def problems(owner, text):
    with pytest.raises(job_files.FileRejected) as caught:
        job_files.load(owner, text)
    return caught.value.problems


def random_spec(chance, datasets):
    letters = "u0aé선😀\"\\\n\t <&'{}%$`x9"
    words = "".join(chance.choices(letters, k=chance.randint(1, 40)))
    train, validation = chance.sample(datasets, 2)
    return TuningSpec(
        display_name=words, description=chance.choice(["", words]), base_model=chance.choice(["a/b@c", words]),
        output_uri=f"gs://bucket/{chance.random()}", dataset=train, epochs=chance.randint(1, 100),
        validation_dataset=chance.choice([None, validation]), learning_rate=10 ** chance.uniform(-12, 0),
        tuning_mode=chance.choice(["FULL", "PEFT_ADAPTER"]), adapter_size=chance.choice([None, 1, 32]),
        batch_size=chance.choice([None, 1, 256]), export_last_checkpoint_only=chance.random() < 0.5,
        auto_deploy=chance.random() < 0.5, endpoint_display_name=chance.choice(["", words]),
        machine_type=chance.choice(["", "g2-standard-12"]), endpoint_lease_hours=chance.choice([None, 1, 720]),
        endpoint_min_replicas=chance.randint(1, 3), endpoint_max_replicas=chance.randint(3, 100),
        labels={f"k{number}": chance.choice(["", "v-9_"]) for number in range(chance.randint(0, 61))},
        warmup_ratio=chance.choice([None, 0.0, 0.1]), lr_scheduler_type=chance.choice(["", "linear"]),
        weight_decay=chance.choice([None, 0.015]), seed=chance.choice([None, 0, 2**31 - 1]),
        max_seq_length=chance.choice([None, 512]),
        custom_base_model=chance.choice(["", "gs://bucket/run/final"]), location=chance.choice(["", "global"]),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_any_job_comes_back_as_it_was(owner, seed):
    chance = random.Random(seed)
    datasets = [factories.dataset(sha256=f"{number:064x}") for number in range(3)]
    for _ in range(10):
        job = random_spec(chance, datasets)
        loaded = job_files.load(owner, json.dumps(job_files.dump(job), ensure_ascii=chance.random() < 0.5))
        assert loaded == job_files.Loaded({k: v for k, v in vars(job).items() if k != "accepts_licence"})


def test_a_file_from_before_replicas_could_be_chosen_is_read(owner):
    content = job_files.dump(spec())
    del content["deployment"]["endpoint_min_replicas"], content["deployment"]["endpoint_max_replicas"]
    answers = job_files.load(owner, json.dumps(content)).answers
    assert (answers["endpoint_min_replicas"], answers["endpoint_max_replicas"]) == (1, 1)


def test_a_row_and_the_wish_for_it_are_the_same_file(owner):
    wish = spec(labels={"team": "support"}, location="us-central1")
    row = factories.job(dataset=wish.dataset, **{k: v for k, v in asdict(wish).items() if "dataset" not in k})
    assert job_files.dump(row) == job_files.dump(wish)


def test_a_data_set_is_known_by_its_content(owner, stranger):
    text = text_of(spec())
    factories.dataset(sha256=SHA, name="Other name")
    named = factories.dataset(sha256=SHA, name="Questions")
    factories.dataset(sha256=SHA, name="Questions", owner=stranger)
    assert job_files.load(owner, text).answers["dataset"] == named


def test_a_data_set_that_is_missing_is_named(owner, stranger):
    text = text_of(spec(dataset=factories.dataset(owner=stranger, sha256=SHA)))
    loaded = job_files.load(owner, text)
    assert (loaded.answers["dataset"], loaded.missing) == (None, {"dataset": "Questions (aaaaaaaa)"})


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"training__epochs": "3"}, "training.epochs", "It must be a whole number."),
        ({"training__epochs": True}, "training.epochs", "It must be a whole number."),
        ({"training__epochs": ...}, "training.epochs", "This field is missing."),
        ({"training__epoch": 3}, "training.epoch", "Unknown field."),
        ({"training__learning_rate": "x"}, "training.learning_rate", "It must be a number."),
        ({"training__adapter_size": 1.5}, "training.adapter_size", "It must be a whole number or null."),
        ({"training__dataset": None}, "training.dataset", "It must be an object."),
        ({"training__validation_dataset": 1}, "training.validation_dataset", "It must be an object or null."),
        ({"training__dataset__sha256": "x"}, "training.dataset.sha256", "It must be the SHA-256 of the file"),
        ({"training__dataset__uri": ...}, "training.dataset.uri", "This field is missing."),
        ({"deployment__auto_deploy": 1}, "deployment.auto_deploy", "It must be true or false."),
        ({"name__labels": {"app-key": "x"}}, "name.labels", "belong to the console"),
        ({"name__labels": {"team": 1}}, "name.labels.team", "It must be a string."),
        ({"output": ...}, "output", "This section is missing."),
        ({"output": []}, "output", "It must be an object."),
        ({"more": 1}, "more", "Unknown section."),
        ({"version": 2}, "version", "This console reads version 1"),
        ({"format": "x"}, "format", "The file is not a tuning job of this console"),
    ],
)
def test_a_wrong_file_is_refused_by_field(owner, changes, field, words):
    ((found, sentence),) = problems(owner, text_of(spec(), **changes))
    assert (found, words in sentence) == (field, True)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"format": NaN}', NUL, HALF])
def test_what_is_no_job_at_all(owner, text):
    assert len(problems(owner, text)) == 1


def test_all_that_is_wrong_is_said_at_once(owner):
    found = problems(owner, text_of(spec(), training__epochs="3", output__output_uri=1, name__labels=1))
    assert [field for field, _sentence in found] == ["name.labels", "output.output_uri", "training.epochs"]


def test_a_backslash_is_a_character_as_any_other(owner):
    assert job_files.load(owner, text_of(spec(description="C:\\u0000"))).answers["description"] == "C:\\u0000"


@pytest.mark.parametrize("seed", range(5))
def test_any_job_comes_back_from_yaml_as_it_was(owner, seed):
    chance = random.Random(seed)
    datasets = [factories.dataset(sha256=f"{number:064x}") for number in range(3)]
    for _ in range(5):
        job = random_spec(chance, datasets)
        loaded = job_files.load(owner, job_files.as_text(job, is_yaml=True))
        assert loaded == job_files.Loaded({k: v for k, v in vars(job).items() if k != "accepts_licence"})


@pytest.mark.parametrize(("written", "rate"), [("2e-5", 2e-5), ("1E-4", 1e-4), ("0.0002", 2e-4), ("2.0e-05", 2e-5)])
def test_a_rate_in_yaml_may_be_a_power_of_ten(owner, written, rate):
    text = job_files.as_text(spec(learning_rate=0.125), is_yaml=True).replace("0.125", written)
    assert job_files.load(owner, text).answers["learning_rate"] == rate


def test_so_may_every_other_number(owner):
    text = job_files.as_text(spec(weight_decay=0.125, warmup_ratio=0.25), is_yaml=True)
    answers = job_files.load(owner, text.replace("0.125", "1e-4").replace("0.25", "5E-2")).answers
    assert (answers["weight_decay"], answers["warmup_ratio"]) == (1e-4, 0.05)


@pytest.mark.parametrize(
    ("was", "written", "problem"),
    [
        ("epochs: 3", "epochs: 0x" + "f" * 5000, "The file is neither JSON nor YAML: Exceeds the limit"),
        ("epochs: 3", "epochs: 2026-11-29", "neither JSON nor YAML: 2026-11-29 is read as a date. Put it in quotes."),
        ("learning_rate: 0.125", "learning_rate: .nan", "nan is no number that a job can have."),
        ("learning_rate: 0.125", "learning_rate: .inf", "inf is no number that a job can have."),
        ("labels: {}", "labels: {1: a}", "the key 1 is no text. Put it in quotes."),
        ("version: 1", "1: 1", "the key 1 is no text. Put it in quotes."),
        ("format:", "? [a]\n: 1\nformat:", "a key can't be a list or an object. Write text."),
        ("format:", "x: &a [1]\ny: *a\nformat:", "anchors and references are not read"),
        ("description: ''", 'description: "\\ud800"', "it contains invalid characters."),
        ("description: ''", "description: " + "x" * 50_000, "it is longer than any tuning job."),
    ],
)
def test_a_yaml_file_that_is_no_job_says_why(owner, was, written, problem):
    text = job_files.as_text(spec(learning_rate=0.125), is_yaml=True)
    assert was in text
    [(field, sentence)] = problems(owner, text.replace(was, written, 1))
    assert (field, problem in sentence) == ("", True)


def test_a_field_of_a_yaml_file_is_named(owner):
    text = job_files.as_text(spec(display_name="Ahoy"), is_yaml=True).replace("display_name: Ahoy", "display_name: no")
    assert problems(owner, text) == [("name.display_name", "It must be a string.")]


def test_options_of_the_endpoint_are_in_the_file(owner):
    options = {"idle_minutes": 30, "autoscaling": {"gpu": 70}, "reservations": ["one"], "endpoint_labels": {"a": "b"}}
    text = job_files.as_text(spec(endpoint_options=options), is_yaml=True)
    assert job_files.load(owner, text).answers["endpoint_options"] == options
    older = text_of(spec(), deployment__endpoint_options=...)
    assert job_files.load(owner, older).answers["endpoint_options"] == {}


@pytest.mark.parametrize("wrong", [{"idle_minutes": "30"}, {"moon": 1}, {"autoscaling": [1]}])
def test_options_of_other_types_are_refused(owner, wrong):
    sentence = "It must hold options of a deployment, such as idle_minutes, with values of their types."
    assert problems(owner, text_of(spec(), deployment__endpoint_options=wrong)) == [
        ("deployment.endpoint_options", sentence)
    ]
