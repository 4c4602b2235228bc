import pytest

from jobs.services.tuned_models.results import sort_out
from jobs.vertex.errors import NotFound, Refused
from tests.fakes import LOCATION, PARENT, PROJECT

REGION = "us-west1"
# As the local server calls its measures, and as open models were seen to be measured on Google Cloud.
LOSS = {"google": "loss"}
ORDER = ["PENDING", "RUNNING", "SUCCEEDED"]


def test_a_job_goes_through_its_states(tuned):
    spec, seen = tuned
    states = list(dict.fromkeys(job.state for job in seen))
    assert states == ORDER[-len(states) :], seen[-1].error


def test_what_a_job_that_succeeded_says(tuned):
    spec, seen = tuned
    job = seen[-1]
    assert (job.state, job.labels, job.display_name, job.error) == ("SUCCEEDED", spec.labels, "Tiny", None)
    assert job.create_time < job.start_time < job.end_time
    assert job.tuned_model.startswith(f"{PARENT}/models/")
    assert job.total_steps > 1
    assert int(job.data_stats["tuningDatasetExampleCount"]) > 1


def test_checkpoints_count_up(tuned):
    checkpoints = tuned[1][-1].checkpoints
    assert [checkpoint.epoch for checkpoint in checkpoints] == [1, 2]
    assert checkpoints[0].step < checkpoints[1].step


def test_metrics_are_series_of_steps(world, tuned):
    series = world.gateway.metrics.read(tuned[1][-1].experiment)
    points = series[LOSS.get(world.name, "/train_total_loss")]
    assert [point.step for point in points] == sorted({point.step for point in points})
    assert points[-1].step == tuned[1][-1].total_steps
    assert points[-1].value < points[0].value or world.name == "google"  # where nothing is learned
    assert points[0].wall_time.tzinfo is not None


def test_no_metrics_yet(world):
    assert world.gateway.metrics.read("") == {}
    assert world.gateway.metrics.read(f"{PARENT}/metadataStores/default/contexts/tuning-experiment-none") == {}


def test_the_log_and_the_model_lie_in_the_bucket(world, tuned):
    log = world.gateway.storage.read_text(f"{tuned[0].output_uri}/logs/train.log", 10_000)
    assert bool(log) == (world.name != "google")
    assert not world.gateway.storage.is_empty(f"{tuned[0].output_uri}/postprocess/node-0/checkpoints/final")


def test_a_job_is_found_by_its_label_once(world, tuned):
    found = world.gateway.tuning.find("app-key", tuned[0].labels["app-key"])
    assert [job.name for job in found] == [tuned[1][-1].name]


def test_a_job_of_another_region_is_found_when_it_is_looked_for(world):
    job = world.gateway.tuning.create(world.spec(location=REGION, labels={"app-key": f"far-{world.name}"}))
    world.gateway.tuning.cancel(job.name)
    assert f"/{REGION}/" in job.name
    assert world.gateway.tuning.find("app-key", f"far-{world.name}") == []
    (found,) = world.gateway.tuning.find("app-key", f"far-{world.name}", [REGION])
    assert found.name == job.name


def test_an_unknown_label_finds_nothing(world, tuned):
    assert world.gateway.tuning.find("app-key", "somebody-else") == []
    assert world.gateway.tuning.find("other", tuned[0].labels["app-key"]) == []


def test_jobs_are_found_over_pages_oldest_first(world, settings):
    settings.VERTEX_PAGE_SIZE = 1
    made = [world.gateway.tuning.create(world.spec(labels={"app-install": f"pages-{world.name}"})) for _ in range(3)]
    for job in made:
        world.gateway.tuning.cancel(job.name)
    found = world.gateway.tuning.find("app-install", f"pages-{world.name}")
    assert [job.name for job in found] == [job.name for job in made]


def test_a_job_is_cancelled(world):
    job = world.gateway.tuning.create(world.spec())
    world.gateway.tuning.cancel(job.name)
    job = world.ended(job)
    assert (job.state, job.error.code) == ("CANCELLED", "CANCELLED")
    world.gateway.tuning.cancel(job.name)


def test_a_job_that_succeeded_cannot_be_cancelled(world, tuned):
    with pytest.raises(Refused) as caught:
        world.gateway.tuning.cancel(tuned[1][-1].name)
    assert caught.value.code == "FAILED_PRECONDITION"


@pytest.mark.parametrize("output", ["", "somewhere", "gs://"])
def test_an_output_that_is_no_place_is_refused(world, output):
    with pytest.raises(Refused) as caught:
        world.gateway.tuning.create(world.spec(output_uri=output))
    assert caught.value.code == "INVALID_ARGUMENT"


def test_a_job_that_is_not_there(world):
    name = f"projects/{PROJECT}/locations/{LOCATION}/tuningJobs/999999"
    with pytest.raises(NotFound):
        world.gateway.tuning.get(name)
    with pytest.raises(NotFound):
        world.gateway.tuning.cancel(name)


def test_jobs_that_ended_do_not_run(world, tuned):
    assert world.gateway.tuning.count_running() == 0


def names_below(world, folder, path=""):
    page = world.gateway.storage.list_folder(f"{folder}/{path}".rstrip("/"), "", 500)
    deeper = [name for one in page.folders for name in names_below(world, folder, f"{path}{one}/")]
    return [*(f"{path}{one.name}" for one in page.objects), *deeper]


def test_the_model_that_a_tuning_leaves_is_recognised(world, tuned):
    found = sort_out(names_below(world, tuned[0].output_uri))
    assert (found.model.folder, found.model.form) == ("postprocess/node-0/checkpoints/final", "whole")
    assert {place.form for place in found.checkpoints} <= {"adapter"}
    numbers = {
        "local": [checkpoint.step for checkpoint in tuned[1][-1].checkpoints],
        "google": [checkpoint.epoch for checkpoint in tuned[1][-1].checkpoints],
    }
    assert [place.number for place in found.checkpoints] == numbers.get(world.name, [])
