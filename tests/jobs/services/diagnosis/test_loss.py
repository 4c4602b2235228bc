import pytest

from jobs.services.diagnosis.loss import Divergence, find_divergence, find_rise
from tests.support import factories


def numbered(*values: float) -> list[tuple[int, float]]:
    return list(enumerate(values, start=1))


@pytest.mark.parametrize(
    "values",
    [
        (4, 3, 2, 1),
        (4, 3, 2, 1, 0.9, 3.5, 3.6, 3.7, 3.8, 3.9),  # not above where it began
        (4, 2, 9, 2, 9, 2, 9, 9, 9, 1.9),  # it comes back
        (0.3, 0.01, 0.02, 0.2, 0.25, 0.1, 0.2, 0.29),
        (5, 5, 6, 7, 8, 8, 8, 8),  # not far
        (),
    ],
)
def test_a_loss_that_is_restless_is_not_astray(values: tuple[float, ...]) -> None:
    assert find_rise(numbered(*values)) is None


def test_a_loss_that_rose_far_and_stayed_there_is_astray() -> None:
    assert find_rise(numbered(4, 3, 2, 1.5, 9, 10, 12, 14, 15)) == Divergence(5, 1.5, 15)


@pytest.mark.django_db
def test_a_job_that_trains_well_costs_no_query(django_assert_num_queries) -> None:
    job = factories.job(state="RUNNING", step=9, last_step_at=factories.NOW, train_loss=1.0, loss_curve=[4, 3, 2, 1])
    with django_assert_num_queries(0):
        assert find_divergence(job) is None
