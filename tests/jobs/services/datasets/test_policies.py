"""Of each action on each kind of dataset: it is on the page where the policy allows it, and only there; where it does
not, the service refuses with the policy's sentence."""

import io
import json
from html import escape
from typing import Any

import pytest

from jobs import errors
from jobs.errors import NotAllowedNow
from jobs.models import Dataset
from jobs.services.datasets import datasets, derive, file, policies, references
from jobs.services.diagnosis.policies import why_not_leave_out
from tests.support import factories
from tests.support.stored import path_of

pytestmark = pytest.mark.django_db
SOURCE = "gs://garden-local/rows.jsonl"
AGAIN = f"Read {SOURCE} again under “From Cloud Storage” on the Datasets page."
KINDS: dict[str, dict[str, Any]] = {
    "good": {},
    "with problems": {"invalid_rows": 1},
    "empty": {"valid_rows": 0},
    "a table": {},
    "a part": {"part": "train"},
    "of a job": {},
    "for validation": {},
}
PAIRS = [{"prompt": f"Question {number}?", "completion": f"Answer {number}."} for number in range(20)]
KIND = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def page(client, owner):
    client.force_login(owner)
    return lambda place: client.get(place).content.decode()


def made(kind):
    if kind == "a table":
        file = io.BytesIO(b"prompt,completion\n" + b"".join(b"Question %d,Answer\n" % number for number in range(20)))
        return datasets.create(factories.owner(), file=file, file_name="a.csv", name=kind)
    dataset = factories.dataset(name=kind, rows=PAIRS, **KINDS[kind])
    if kind == "of a job":
        factories.job(dataset=dataset)
    if kind == "for validation":
        factories.job(validation_dataset=dataset)
    return dataset


def refuses(reason, action):
    if not reason:
        action()
        return
    with pytest.raises(errors.NotAllowedNow) as refused:
        action()
    assert str(refused.value) == reason


@KIND
def test_deleting(page, kind):
    dataset = made(kind)
    reason = policies.why_not_delete(dataset)
    shown = page(f"/datasets/{dataset.pk}/")
    assert (f'action="/datasets/{dataset.pk}/delete/"' in shown, escape(reason) in shown) == (not reason, True)
    refuses(reason, lambda: datasets.delete(dataset))
    assert Dataset.objects.filter(pk=dataset.pk).exists() is bool(reason)


@KIND
def test_splitting(page, kind):
    dataset = made(kind)
    reason = policies.why_not_split(dataset)
    assert (f'action="/datasets/{dataset.pk}/split/"' in page(f"/datasets/{dataset.pk}/")) is (not reason)
    refuses(reason, lambda: derive.split(dataset, share=10, seed=1))
    assert dataset.made.exists() is (not reason)


@KIND
def test_converting(page, kind):
    dataset = made(kind)
    reason = policies.why_not_convert(dataset)
    assert (f'action="/datasets/{dataset.pk}/convert/"' in page(f"/datasets/{dataset.pk}/")) is (not reason)
    if reason:
        refuses(reason, lambda: derive.convert(dataset, name="Other", columns=None, leave_out=True))


@KIND
def test_tuning_with_it(page, kind):
    dataset = made(kind)
    reason = policies.why_not_tune_with(dataset)
    factories.publisher_model()
    done = {
        "name": {"display_name": "Ahoy", "sent": 1},
        "base-model": {"base_model": factories.BASE_MODEL, "sent": 1},
        "output": {"output_uri": "gs://garden-local/policy", "sent": 1},
    }
    shown = page(f"/tuning/drafts/{factories.draft(data=done).pk}/training/")
    radio = shown.partition(f'type="radio" name="dataset" value="{dataset.pk}"')[2].partition(">")[0]
    assert ("disabled" in radio) is bool(reason)


def test_what_is_allowed_of_which_kind(owner):
    """The table itself, so that a change of a rule is seen."""
    rows = {kind: made(kind) for kind in KINDS}
    allowed = {
        action: {kind for kind, dataset in rows.items() if not why_not(dataset)}
        for action, why_not in {
            "delete": policies.why_not_delete,
            "split": policies.why_not_split,
            "convert": policies.why_not_convert,
            "tune": policies.why_not_tune_with,
        }.items()
    }
    whole = {"good", "of a job", "for validation"}
    assert allowed == {
        "delete": {"good", "with problems", "empty", "a table", "a part"},
        "split": whole,
        "convert": {"a table"},
        "tune": whole | {"a part"},
    }


def test_a_file_comes_from_where_it_came():
    assert [policies.add_again(one) for one in (factories.dataset(source_uri=SOURCE), factories.dataset())] == [
        AGAIN,
        "Upload the file again.",
    ]


def test_no_sentence_about_a_file_of_cloud_storage_speaks_of_an_upload(owner, team_mate):
    cloud = factories.dataset(owner=team_mate, source_uri=SOURCE, valid_rows=3)
    private = factories.job(owner=owner).output_uri
    path_of(cloud).write_text(json.dumps({"prompt": "a", "completion": "b", "image_url": f"{private}/x.png"}))
    named = references.why_not_sent(cloud)
    path_of(cloud).unlink()
    with pytest.raises(NotAllowedNow) as gone:
        file.open_file(cloud)
    every = why_not_leave_out(cloud, (1, 2, 3))
    assert [str(one).endswith(AGAIN) for one in (named, gone.value, every)] == [True] * 3
