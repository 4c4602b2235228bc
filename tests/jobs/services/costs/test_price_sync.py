"""The price catalogue is read once a day, in bounded pages; a failure keeps what was read and is tried again."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from jobs.models import MachinePrice, PriceSync
from jobs.services.costs import price_sync
from jobs.services.costs.machine_prices import price
from jobs.services.costs.price_sync import AGAIN_AFTER_FAILURE, EVERY, MAX_PAGES, find_sync, sync
from jobs.tasks import sync_prices
from jobs.vertex.errors import NotAuthorised, Unavailable
from jobs.vertex.skus import COMPUTE_ENGINE, VERTEX_AI, SkuPage, read_page
from tests.support.price_catalogue import H100, H100_FEES, H100_SPOT, line, lines

pytestmark = pytest.mark.django_db
MACHINE = "a3-highgpu-1g"


@pytest.fixture
def google(fake_gateway):
    """The catalogue of Vertex AI on two pages, and that of Compute Engine."""
    first, second = lines(H100), lines(H100_FEES)
    fake_gateway.project.price_pages = {
        VERTEX_AI: [read_page({"skus": first, "nextPageToken": "1"}), read_page({"skus": second})],
        COMPUTE_ENGINE: [read_page({"skus": lines(H100_SPOT)})],
    }
    return fake_gateway


def count_asked_pages(gateway):
    return gateway.calls.count("project.list_skus")


def test_prices_are_read_and_used(google):
    now = timezone.now()
    sync(now)
    assert [str(price(MACHINE, spot=spot).usd_per_hour) for spot in (False, True)] == ["12.625919", "4.428370"]
    assert (find_sync().succeeded_at, find_sync().error_message, count_asked_pages(google)) == (now, "", 3)


def test_they_are_read_once_a_day(google):
    now = timezone.now()
    for later in (timedelta(0), EVERY - timedelta(seconds=1)):
        sync(now + later)
    assert count_asked_pages(google) == 3
    sync(now + EVERY)
    assert count_asked_pages(google) == 6


def test_a_price_that_changed_takes_the_place_of_the_old_one(google):
    now = timezone.now()
    sync(now)
    dear = [line(name, f"1{usd}", unit) for name, (usd, unit) in H100.items()]
    google.project.price_pages[VERTEX_AI][0] = read_page({"skus": dear})
    sync(now + EVERY)
    rows = MachinePrice.objects.filter(machine_type=MACHINE, spot=False)
    assert [(row.usd_per_hour > 100, row.read_at) for row in rows] == [(True, now + EVERY)]


def test_a_failure_is_told_and_tried_again_later(google):
    now = timezone.now()
    google.fail("project.list_skus", NotAuthorised("The Cloud Billing API is off."))
    sync(now)
    assert (find_sync().failed_at, find_sync().error_message) == (now, "The Cloud Billing API is off.")
    sync(now + AGAIN_AFTER_FAILURE - timedelta(seconds=1))
    assert (count_asked_pages(google), MachinePrice.objects.count()) == (1, 0)
    sync(now + AGAIN_AFTER_FAILURE)
    assert (find_sync().failed_at, find_sync().error_message, MachinePrice.objects.exists()) == (None, "", True)


def test_what_was_read_before_a_failure_is_kept(google):
    now = timezone.now()
    sync(now)
    google.fail("project.list_skus", Unavailable("Not now."))
    sync(now + EVERY)
    assert (find_sync().succeeded_at, find_sync().failed_at) == (now, now + EVERY)
    assert price(MACHINE).usd_per_hour == Decimal("12.625919")


def test_without_the_second_service_the_prices_of_the_first_are_there(google):
    google.project.price_pages[COMPUTE_ENGINE] = []
    google.during(
        "project.list_skus",
        lambda: count_asked_pages(google) == 3 and google.fail("project.list_skus", Unavailable("x")),
    )
    sync(timezone.now())
    assert (price(MACHINE).usd_per_hour, price(MACHINE, spot=True)) == (Decimal("12.625919"), None)
    assert PriceSync.objects.get().succeeded_at is None


def test_a_catalogue_without_a_known_line_says_so(fake_gateway):
    sync(timezone.now())
    told = find_sync()
    assert (bool(told.error_message), told.succeeded_at, MachinePrice.objects.count()) == (True, None, 0)


def test_pages_without_an_end_are_not_read_for_ever(fake_gateway, caplog):
    fake_gateway.project.price_pages = {VERTEX_AI: [SkuPage((), "0")]}
    sync(timezone.now())
    assert (count_asked_pages(fake_gateway), len(caplog.records)) == (MAX_PAGES + 1, 1)


def test_a_price_that_is_no_more_in_the_catalogue_grows_old_and_goes(google):
    now = timezone.now()
    sync(now)
    google.project.price_pages = {VERTEX_AI: [read_page({"skus": lines(H100, serviceRegions=["us-east5"])})]}
    sync(now + EVERY)
    assert set(MachinePrice.objects.values_list("region", flat=True)) == {"us-central1", "us-east5"}
    sync(now + price_sync.KEPT + EVERY)
    assert set(MachinePrice.objects.values_list("region", flat=True)) == {"us-east5"}


def test_the_local_server_is_not_asked_for_prices(google, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:8085"
    sync_prices()
    assert (count_asked_pages(google), find_sync()) == (0, None)


def test_the_worker_reads_them(google):
    sync_prices()
    assert price(MACHINE).usd_per_hour == Decimal("12.625919")


def test_a_clock_that_was_a_year_ahead_is_not_waited_for(google):
    now = timezone.now()
    sync(now + timedelta(days=365))
    sync(now)
    assert (count_asked_pages(google), find_sync().succeeded_at) == (6, now)


def test_a_machine_that_no_column_could_pay_for_has_no_price(google):
    dear = [line(name, "999", unit) for name, (_usd, unit) in H100.items()]
    google.project.price_pages[VERTEX_AI] = [read_page({"skus": dear})]
    sync(timezone.now())
    assert MachinePrice.objects.filter(usd_per_hour__gte=10_000).count() == 0
