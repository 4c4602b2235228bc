"""The console's settings with a throw-away data folder, a local project, fast passwords and no broker."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_data = Path(tempfile.mkdtemp(prefix="console-tests-"))
atexit.register(shutil.rmtree, _data, ignore_errors=True)

for name in (
    "DATABASE_URL",
    "STORAGE_EMULATOR_HOST",
    "VERTEX_API_ENDPOINT",
    "VERTEX_TRAINER_ACCOUNT",
    "VERTEX_TRAINER_IMAGE",
    "VERTEX_TRAINER_SECRET",
    "VERTEX_TRAINER_WEIGHTS",
    "CONSOLE_DEBUG",
    "CONSOLE_HTTPS",
    "CONSOLE_SESSION_IDLE_HOURS",
    "CONSOLE_TRUSTED_PROXIES",
    "CONSOLE_STATIC_ROOT",
    "CONSOLE_URL",
    "CONSOLE_WEBHOOK_PRIVATE",
    "EMAIL_URL",
    "LOCALVERTEX_IMPORT_KEY",
    "EMAIL_FROM",
    "FILES_URL",
):
    os.environ.pop(name, None)
if "TEST_DATABASE_URL" in os.environ:
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]
os.environ |= {
    "CONSOLE_DATA_DIR": str(_data),
    "CONSOLE_SECRET_KEY": "only-for-tests",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "VERTEX_PROJECT": "garden-local",
    "VERTEX_LOCATION": "us-central1",
    "VERTEX_BUCKET": "gs://garden-local",
}

from console.settings import *  # noqa: E402,F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CELERY_BROKER_URL = "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS = {}
WHITENOISE_AUTOREFRESH = True
# No thread that goes on from one test to the next.
TELEMETRY_SECONDS = 0

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    # A file, as in production: threads of one test see each other. Without waiting for the disk.
    DATABASES["default"] |= {"TEST": {"NAME": _data / "test.sqlite3"}}  # noqa: F405
    options = DATABASES["default"]["OPTIONS"]  # noqa: F405
    options["init_command"] = options["init_command"].replace("synchronous=FULL", "synchronous=OFF")
