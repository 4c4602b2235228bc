import pytest
from pytest_django import DjangoAssertNumQueries

from console.presenters.tuning import job_list
from jobs.models import TuningJob
from jobs.states import EndpointState, TuningState
from tests.support import factories

pytestmark = pytest.mark.django_db

FIRST = {"checkpoint_id": "1", "step": "10", "epoch": "1"}
LAST = {"checkpoint_id": "2", "step": "20", "epoch": "2"}


def serve(job: TuningJob, artifact_uri: str) -> None:
    factories.endpoint(owner=job.owner, state=EndpointState.READY, job=job, artifact_uri=artifact_uri)


def test_endpoints_of_a_page_of_jobs_take_one_query_and_count_for_the_model_alone(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    done = {"state": TuningState.SUCCEEDED, "checkpoints": [FIRST, LAST]}
    served, tried, failed = factories.job(**done), factories.job(**done), factories.job(state=TuningState.FAILED)
    serve(served, f"{served.output_uri}/postprocess/node-0/checkpoints/final")
    serve(tried, f"{tried.output_uri}/postprocess/node-0/checkpoints/checkpoint-10")
    serve(failed, f"{failed.output_uri}/postprocess/node-0/checkpoints/final")
    jobs = list(TuningJob.objects.lines())
    with django_assert_num_queries(1):
        found = job_list.ready_endpoints(jobs)
    assert list(found) == [served.pk]
