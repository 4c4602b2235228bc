import pytest

from jobs.models import OutputListing, TuningJob, Visibility
from tests.support import factories

pytestmark = pytest.mark.django_db
URL = "/tuning/remove/"


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def words(response):
    return " ".join(response.content.decode().split())


def ended(**values):
    return factories.job(**{"state": "SUCCEEDED", "phase": "CLOSED", "next_check_at": None, **values})


def seen(visitor, path="/tuning/"):
    return words(visitor.get(path))


def test_an_archived_job_is_found_by_its_filter_and_comes_back(visitor):
    job = ended(display_name="Captain")
    visitor.post(URL, {"job": job.pk, "do": "archive"})
    shown = [">Captain<" in seen(visitor, f"{path}") for path in ("/tuning/", "/tuning/?filter=is:archived")]
    models = [">Captain<" in seen(visitor, path) for path in ("/models/", "/models/?is=archived")]
    assert (shown, models) == ([False, True], [False, True])
    assert visitor.get(f"/tuning/jobs/{job.pk}/").status_code == 200
    visitor.post(URL, {"job": job.pk, "do": "restore"})
    assert ">Captain<" in seen(visitor)


def test_counters_do_not_count_what_the_list_leaves_out(visitor):
    factories.job(state="FAILED", phase="CLOSED", ended_at=factories.NOW, visibility=Visibility.ARCHIVED)
    assert seen(visitor).count('<span class="num">1</span>') == 0


@pytest.mark.parametrize("visibility", [Visibility.LISTED, Visibility.ARCHIVED])
def test_the_page_of_a_job_says_that_it_is_archived(visitor, visibility):
    job = ended(visibility=visibility)
    bar = seen(visitor, f"/tuning/jobs/{job.pk}/").partition('id="job-bar"')[2].partition("bar-more")[0]
    assert ("Archived" in bar) is (visibility == Visibility.ARCHIVED)


def test_before_a_deletion_it_is_said_what_it_frees_and_what_uses_it(visitor):
    job = ended(display_name="Captain")
    factories.endpoint(job=job, display_name="Old", state="UNDEPLOYED", artifact_uri=job.output_uri)
    text = seen(visitor, f"{URL}?job={job.pk}")
    assert ("the files are being counted" in text, "Deleting the files frees" in text) == (True, False)
    files = [{"name": "a", "size": 2048}, {"name": "b", "size": 1024}]
    OutputListing.objects.update(read_at=OutputListing.objects.get().asked_at, files=files)
    text = seen(visitor, f"{URL}?job={job.pk}").replace("\xa0", " ")
    assert "Deleting the files frees 3.0 KB (2 files)." in text
    assert "Without the files these cannot be deployed or started once more: Old" in text
    factories.ready_endpoint(job=job, display_name="Live", artifact_uri=job.output_uri)
    text = seen(visitor, f"{URL}?job={job.pk}")
    assert ("In use by the endpoint Live." in text, 'value="delete"' in text) == (True, False)


@pytest.mark.parametrize(("server", "is_charged"), [("http://127.0.0.1:1", False), ("", True)])
def test_files_that_stay_cost_something_in_google_s_storage_alone(visitor, settings, server, is_charged):
    settings.VERTEX_API_ENDPOINT = server
    text = seen(visitor, f"{URL}?job={ended().pk}")
    assert ("stay in the output directory" in text, "Cloud Storage" in text) == (True, is_charged)


@pytest.mark.parametrize(("typed", "is_gone"), [("", False), ("captain", False), ("Captain", True)])
def test_a_job_is_deleted_when_its_name_is_typed(visitor, typed, is_gone):
    job = ended(display_name="Captain")
    response = visitor.post(URL, {"job": job.pk, "do": "delete", "confirm": typed, "with_files": "on"})
    assert (response.status_code, TuningJob.objects.get().is_deleted) == (303 if is_gone else 422, is_gone)
    assert TuningJob.objects.get().removes_files is is_gone
    assert visitor.get(f"/tuning/jobs/{job.pk}/").status_code == (404 if is_gone else 200)


def test_files_stay_unless_they_are_asked_for(visitor):
    job = ended(tuned_model="projects/p/models/7@1")
    visitor.post(URL, {"job": job.pk, "do": "delete", "confirm": "My model"})
    gone = TuningJob.objects.get()
    assert (gone.is_deleted, gone.removes_files, gone.removes_model) == (True, False, False)


def test_several_at_once_without_those_that_cannot(visitor):
    ended_jobs = [ended(output_uri=f"gs://bucket/{number}") for number in range(2)]
    running = factories.job(state="RUNNING", output_uri="gs://bucket/9")
    names = [job.pk for job in (*ended_jobs, running)]
    assert visitor.post(URL, {"job": names, "do": "delete", "confirm": "2"}).status_code == 303
    assert TuningJob.objects.filter(visibility=Visibility.DELETED).count() == 2
    assert TuningJob.objects.get(pk=running.pk).visibility == Visibility.LISTED


def test_jobs_of_others_are_not_there(visitor, stranger):
    job = ended(owner=stranger)
    assert "Nothing to archive or delete" in seen(visitor, f"{URL}?job={job.pk}")
    visitor.post(URL, {"job": job.pk, "do": "delete", "confirm": "My model"})
    assert TuningJob.objects.get().visibility == Visibility.LISTED


def test_the_endpoint_of_a_deleted_job_leads_to_no_dead_end(visitor):
    job = ended(display_name="Captain", visibility=Visibility.DELETED)
    endpoint = factories.endpoint(job=job, state="UNDEPLOYED", artifact_uri=job.output_uri)
    for path in ("/endpoints/", f"/endpoints/{endpoint.pk}/"):
        text = seen(visitor, path)
        assert (f"/models/{job.pk}/" in text, "(deleted)" in text) == (False, True)
