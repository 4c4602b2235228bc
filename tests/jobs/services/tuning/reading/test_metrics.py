import pytest

from jobs.models import Metric
from jobs.vertex.values import Point
from tests.support import factories
from tests.support.row_driver import Driver

pytestmark = pytest.mark.django_db


def watch_job(gateway, **series):
    """A job whose training reports these, by their own names."""
    driver = Driver()
    gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    job = driver.until(factories.job(next_check_at=driver.now, epochs=2), phase="BOUND")
    gateway.tuning.start(job.resource_name, total_steps=10)
    experiment = gateway.tuning.jobs[job.resource_name].experiment
    gateway.metrics.series[experiment] = {
        tag: [Point(step, value, gateway.tick()) for step, value in points] for tag, points in series.items()
    }
    return driver.until(job, state="RUNNING")


def test_a_training_that_calls_its_loss_otherwise_goes_on_all_the_same(fake_gateway):
    job = watch_job(fake_gateway, loss=[(1, 3.0), (5, 2.0)], eval_loss=[(5, 2.5)])
    assert (job.step, job.epoch, job.train_loss, job.eval_loss) == (5, 1.0, 2.0, 2.5)
    assert job.loss_curve == [3.0, 2.0]


def test_without_a_loss_of_the_training_any_curve_says_how_far_it_is(fake_gateway):
    job = watch_job(fake_gateway, eval_loss=[(5, 2.5)], perplexity=[(5, 12.2)], **{"vendor/x": [(2, 0.0), (7, 1.0)]})
    assert (job.step, job.epoch, job.train_loss, job.eval_loss) == (7, 1.4, None, 2.5)
    assert job.first_step_at < job.last_step_at


def test_every_curve_is_kept(fake_gateway):
    job = watch_job(fake_gateway, eval_loss=[(5, 2.5)], BLEU=[(5, 31.0)], eval_runtime=[(5, 15.4)])
    found = set(Metric.objects.filter(job=job).values_list("tag", "step", "value"))
    assert found == {("/eval_total_loss", 5, 2.5), ("/eval_bleu", 5, 31.0), ("eval_runtime", 5, 15.4)}


def test_steps_and_values_that_no_row_takes_are_left_out(fake_gateway):
    job = watch_job(fake_gateway, loss=[(-1, 1.0), (2**40, 1.0), (3, float("nan")), (4, 1.5)], empty=[(-7, 1.0)])
    assert list(Metric.objects.filter(job=job).values_list("step", flat=True)) == [4]
    assert job.step == 4
