"""For a worker in a process of its own: the database of the tests, a broker that may go away, the fake gateway."""

import os
from pathlib import Path

from console import settings as project
from tests.settings import *  # noqa: F403

DATABASES["default"]["NAME"] = os.environ["FAULTS_DATABASE"]  # noqa: F405
DATA_DIR = Path(os.environ["FAULTS_DATA"])
REDIS_URL = CELERY_BROKER_URL = os.environ["FAULTS_BROKER"]
CELERY_BROKER_TRANSPORT_OPTIONS = project.CELERY_BROKER_TRANSPORT_OPTIONS | {"socket_timeout": 3}
VERTEX_GATEWAY = "tests.faults.remembering.Gateway"
# The base model of the factories is tuned on a local run only.
VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
VERTEX_POLL_SECONDS = 0.2
