import pytest

from jobs.vertex import get_gateway
from jobs.vertex.errors import OutcomeUnknown
from jobs.vertex.values import TuningJobSpec
from tests.support import factories
from tests.support.stored import path_of

SPEC = TuningJobSpec(
    base_model=factories.BASE_MODEL,
    display_name="My model",
    output_uri="gs://garden-local/out",
    training_dataset_uri="gs://garden-local/train.jsonl",
    validation_dataset_uri="",
    epochs=2,
    learning_rate=0.0002,
    tuning_mode="PEFT_ADAPTER",
    adapter_size=8,
    batch_size=None,
    export_last_checkpoint_only=False,
    labels={"app-key": "k"},
)


def test_services_get_the_fake(fake_gateway):
    assert get_gateway() is fake_gateway


def test_a_lost_reply_leaves_a_job(fake_gateway):
    fake_gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    fake_gateway.drop_after("tuning.create")
    with pytest.raises(OutcomeUnknown):
        fake_gateway.tuning.create(SPEC)
    assert [job.labels for job in fake_gateway.tuning.find("app-key", "k")] == [{"app-key": "k"}]
    assert len(fake_gateway.creates("tuning-job")) == 1


def test_a_lagging_list_hides_a_new_job(fake_gateway):
    fake_gateway.tuning.lag = 2
    fake_gateway.tuning.add({"app-key": "k"})
    assert [len(fake_gateway.tuning.find("app-key", "k")) for _ in range(3)] == [0, 0, 1]


def test_factories_build_every_row(db):
    conversation = factories.conversation()
    assert factories.message(conversation=conversation).ordinal == 1
    assert path_of(factories.job().dataset).exists()
