"""The console's worker with tasks that hang it in each way; `celery -A tests.console.pulsing_worker worker`."""

import os
import time

from kombu.asynchronous import get_event_loop

from console import pulse
from console.celery import Schedule, app

pulse.LONGEST_WAIT, pulse.ASK_SECONDS, pulse.SECONDS = 2.0, 0.5, 0.2  # type: ignore[misc]
pulse.LONGEST_SILENCE = 4.0  # type: ignore[misc]
app.conf.broker_url = os.environ["TEST_BROKER_URL"]
app.conf.beat_schedule = {}
FOREVER = 600


@app.task(name="hang", time_limit=1)
def hang() -> None:
    time.sleep(FOREVER)


@app.task(name="work", time_limit=FOREVER)
def work() -> None:
    time.sleep(FOREVER)


@app.task(name="hang_scheduler")
def hang_scheduler() -> None:
    Schedule.tick = lambda *_: time.sleep(FOREVER)


@app.task(name="hang_loop")
def hang_loop() -> None:
    get_event_loop().call_soon(time.sleep, FOREVER)
