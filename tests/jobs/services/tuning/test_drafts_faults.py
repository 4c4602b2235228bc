import pytest

from jobs.services.tuning import drafts, observe
from tests.support import factories

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("The output_uri field is required for this model.", "output_uri"),
        (
            "The validation dataset is 30% of the size of the training dataset.",
            "validation_dataset",
        ),
        ("The dataset cannot be read: gs://b/x does not exist.", "dataset"),
        ("The adapter that is continued has size 8; leave adapter_size out or ask for the same.", "adapter_size"),
        ("learning_rate must be greater than 0 and at most 1.", "learning_rate"),
        ("epoch_count must be between 1 and 100.", "epochs"),
        ("It ran out of memory. Use a smaller batch size, shorter rows or a smaller base model.", "batch_size"),
        ("The model to continue from cannot be read.", "custom_base_model"),
        ("Base model x is not supported for tuning.", "base_model"),
        ("Internal error encountered.", ""),
        ("", ""),
    ],
)
def test_the_field_that_a_message_names(message, field):
    text = f"{message} {observe.remedy('INVALID_ARGUMENT')}" if message else ""
    assert drafts.find_field(factories.job(state="FAILED", error_code="INVALID_ARGUMENT", error_message=text)) == field


def test_what_the_console_knows_counts_before_any_word():
    job = factories.job(state="FAILED", error_field="output_uri", error_message="The dataset is too large.")
    assert drafts.find_field(job) == "output_uri"
    job.state = "SUCCEEDED"
    assert drafts.find_field(job) == ""
