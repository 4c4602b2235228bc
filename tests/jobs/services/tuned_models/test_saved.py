import pytest

from jobs.services.tuned_models.saved import find_checkpoints
from tests.support import factories

pytestmark = pytest.mark.django_db
FOLDER = "gs://garden-local/output/my-model/postprocess/node-0/checkpoints"


def lay(gateway, folder, *names):
    gateway.storage.objects |= {f"{FOLDER}/{folder}/{name}": b"x" for name in names}


def found(**values):
    job = factories.job(**{"epochs": 3, "total_steps": 30} | values)
    return [(one["checkpoint_id"], one["epoch"], one["step"]) for one in find_checkpoints(job)]


def test_whole_adapters_are_found_in_order(fake_gateway):
    for step in (20, 10):
        lay(fake_gateway, f"checkpoint-{step}", "adapter_config.json", "adapter_model.safetensors")
    lay(fake_gateway, "checkpoint-30", "adapter_config.json")
    lay(fake_gateway, "checkpoint-x", "adapter_config.json", "adapter_model.safetensors")
    assert found() == [("1", 1, 10), ("2", 2, 20)]


def test_a_model_in_parts_is_whole_with_all_of_them(fake_gateway):
    parts = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    lay(fake_gateway, "checkpoint-10", "config.json", "tokenizer.json", *parts)
    lay(fake_gateway, "checkpoint-20", "config.json", "tokenizer.json", parts[0])
    lay(fake_gateway, "checkpoint-25", "config.json", "model.safetensors")
    lay(fake_gateway, "checkpoint-30", "adapter_config.json", "adapter_model.safetensors")
    assert found(tuning_mode="FULL", adapter_size=None) == [("1", 1, 10)]


def test_without_a_number_of_steps_no_epoch_is_made_up(fake_gateway):
    lay(fake_gateway, "checkpoint-10", "adapter_config.json", "adapter_model.safetensors")
    assert found(total_steps=None) == [("1", 0, 10)]


def test_a_bucket_that_is_gone_has_none(fake_gateway):
    assert found(output_uri="gs://gone/x") == []
