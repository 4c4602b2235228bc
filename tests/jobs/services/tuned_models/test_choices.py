import pytest

from jobs import errors
from jobs.models import PublisherModel
from jobs.services.tuned_models import takeaways
from tests.jobs.services.tuned_models.test_takeaways import LORA, offered, tuned
from tests.support import factories

pytestmark = pytest.mark.django_db
CHECKPOINT = {name: body for name, body in LORA.items() if name.startswith("checkpoint-25/")}
HERE = "http://127.0.0.1:9"


def described(job):
    return [(str(one.form), one.checkpoint, one.size) for one in offered(job)]


def test_what_there_is_follows_from_the_folder(fake_gateway, settings):
    settings.VERTEX_API_ENDPOINT = HERE
    assert described(tuned(fake_gateway)) == [
        ("merged", "final", 3002), ("gguf-q4_k_m", "final", 1336), ("gguf-q8_0", "final", 1621),
        ("gguf-f16", "final", 3002),
        ("adapter", "final", 702), ("adapter", "checkpoint-25", 514), ("merged", "checkpoint-25", 3002),
        ("gguf-q4_k_m", "checkpoint-25", 1336), ("gguf-q8_0", "checkpoint-25", 1621),
        ("gguf-f16", "checkpoint-25", 3002),
    ]  # fmt: skip


def test_vertex_ai_merges_no_checkpoint_and_the_page_says_so(fake_gateway, owner, settings):
    settings.VERTEX_API_ENDPOINT = ""
    job = tuned(fake_gateway, CHECKPOINT)
    adapter, merged = offered(job)
    assert (str(adapter.form), adapter.why_not, str(merged.form)) == ("adapter", "", "merged")
    assert merged.why_not.startswith("For an earlier checkpoint, Vertex AI keeps only the adapter")
    with pytest.raises(errors.NotAllowedNow):
        takeaways.prepare(job, owner, merged)


@pytest.mark.parametrize(
    ("data", "size"),
    [({"weight_bytes": 5000}, 5000), ({"parameters": "270M"}, 540_000_000), ({"parameters": "1.5 B"}, 3_000_000_000),
     ({"parameters": "many"}, 0), (None, 0)],
)  # fmt: skip
def test_without_a_final_model_the_size_is_that_of_the_base_model(fake_gateway, settings, data, size):
    settings.VERTEX_API_ENDPOINT = HERE
    job = tuned(fake_gateway, CHECKPOINT, state="CANCELLED")
    if data is not None:
        PublisherModel.objects.create(name=job.base_model, fetched_at=factories.NOW, data=data)
    assert [(one.size, one.is_merged_first) for one in offered(job)][:2] == [(514, False), (size, True)]


def test_a_model_that_the_engine_does_not_know_is_neither_converted_nor_merged(fake_gateway, owner, settings):
    settings.VERTEX_API_ENDPOINT = HERE
    job = tuned(fake_gateway, base_model="zai-org/glm-4.7-flash@glm-4.7-flash")
    reasons = {(str(one.form), one.checkpoint): one.why_not for one in offered(job)}
    assert reasons["gguf-f16", "final"].startswith("Models of this family are not converted here")
    assert reasons["merged", "checkpoint-25"].startswith("Adapters for models of this family are not merged")
    assert (reasons["merged", "final"], reasons["adapter", "checkpoint-25"]) == ("", "")
    refused = next(one for one in offered(job) if one.form == "gguf-f16")
    with pytest.raises(errors.NotAllowedNow):
        takeaways.prepare(job, owner, refused)


def test_the_checkpoint_of_a_full_tuning_is_a_model_by_itself(fake_gateway, settings):
    settings.VERTEX_API_ENDPOINT = ""
    files = {"checkpoint-7/config.json": b"{}", "checkpoint-7/model.safetensors": b"W" * 1000}
    job = tuned(fake_gateway, files, tuning_mode="FULL")
    assert described(job) == [
        ("merged", "checkpoint-7", 1002), ("gguf-q4_k_m", "checkpoint-7", 446), ("gguf-q8_0", "checkpoint-7", 541),
        ("gguf-f16", "checkpoint-7", 1002),
    ]  # fmt: skip
    assert {(one.why_not, one.is_merged_first) for one in offered(job)} == {("", False)}


def test_work_counts_what_is_fetched_written_and_read(fake_gateway, settings):
    settings.VERTEX_API_ENDPOINT = HERE
    work = {(str(one.form), one.checkpoint): one.work for one in offered(tuned(fake_gateway))}
    assert work["merged", "final"] == 3002
    assert work["gguf-f16", "final"] == 3 * 3002
    assert work["merged", "checkpoint-25"] == 514 + 3 * 3002
    assert work["gguf-f16", "checkpoint-25"] == 514 + 4 * 3002


def test_of_weights_in_32_bits_a_file_of_8_is_as_large_as_of_those_in_16(fake_gateway):
    """The newest checkpoint of a cancelled full tuning is one that could have been gone on from."""
    files = {f"checkpoint-{step}/config.json": b"{}" for step in (3, 6)}
    files |= {"checkpoint-3/model.safetensors": b"W" * 1000, "checkpoint-6/model.safetensors": b"W" * 2000}
    found = {(form, where): size for form, where, size in described(tuned(fake_gateway, files, tuning_mode="FULL"))}
    assert (found["merged", "checkpoint-6"], found["gguf-q8_0", "checkpoint-6"]) == (2002, 541)
