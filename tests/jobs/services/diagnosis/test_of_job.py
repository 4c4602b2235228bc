import pytest

from jobs.services.diagnosis.of_job import diagnose, find_field
from tests.support import factories

pytestmark = pytest.mark.django_db
FOLDER = "gs://garden-local/tuning/ahoy"


@pytest.mark.parametrize(
    ("reason", "resource_name", "cause", "field"),
    [
        (f"{FOLDER}/final/model.safetensors is not there: check that the bucket exists.", "x", "output", "output_uri"),
        (f"{FOLDER}: not found", "x", "output", "output_uri"),
        (f"Grant access to {FOLDER}.", "x", "output", "output_uri"),
        (f"{FOLDER}-2/final is not there: check that the path is right.", "x", "unknown", ""),
        (f"{FOLDER}.old/final is not there: check that the path is right.", "x", "unknown", ""),
        ("gs://elsewhere/weights is not there: check that the path is right.", "x", "unknown", ""),
        ("The job does not exist.", "x", "vanished", ""),
        ("The endpoint does not exist.", "", "unknown", ""),
    ],
)
def test_what_is_not_found_is_not_always_the_job(reason, resource_name, cause, field):
    values = {"state": "FAILED", "phase": "CLOSED", "error_code": "NOT_FOUND", "error_message": reason}
    job = factories.job(output_uri=f"{FOLDER}/", resource_name=resource_name, **values)
    found = diagnose(job)
    assert found is not None
    assert (found.cause, find_field(job)) == (cause, field)
