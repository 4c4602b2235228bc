"""Every setting, read from the environment; a wrong one stops the start with a sentence that says what to write."""

import tomllib
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from console.connections import database, files, mail, redis
from console.datadir import load_secret, open_data_dir, unusable
from console.environment import (
    SECRET_VERSION,
    TRAINER_EXAMPLE,
    TRAINER_IMAGE,
    env,
    env_bool,
    env_choice,
    env_locations,
    env_networks,
    env_number,
    env_secret,
    env_text,
    env_url,
)
from jobs import log_lines

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION: str = tomllib.loads((BASE_DIR / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

DATA_DIR = Path(env("CONSOLE_DATA_DIR", str(BASE_DIR / "data"))).resolve()
open_data_dir(DATA_DIR)

SECRET_KEY = env("CONSOLE_SECRET_KEY") or load_secret(DATA_DIR / "secret-key")
DEBUG = env_bool("CONSOLE_DEBUG")
ALLOWED_HOSTS = [host.strip() for host in env("CONSOLE_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")]
HTTPS = env_bool("CONSOLE_HTTPS")
# From these alone is it believed who asks and whether over HTTPS (X-Forwarded-For, X-Forwarded-Proto).
TRUSTED_PROXIES = env_networks("CONSOLE_TRUSTED_PROXIES")
if HTTPS and not TRUSTED_PROXIES:
    raise ImproperlyConfigured(
        "CONSOLE_HTTPS=1 needs CONSOLE_TRUSTED_PROXIES: the address from which the proxy that ends TLS asks; "
        "write for example 127.0.0.1."
    )
# For a proxy that does not pass on the name under which it was asked.
CSRF_TRUSTED_ORIGINS = [f"https://{host.replace('.', '*.', host.startswith('.'))}" for host in ALLOWED_HOSTS if HTTPS]

# Whoever sends it reads /metrics; without it there is no such address.
METRICS_TOKEN = env_secret("METRICS_TOKEN", 16)
# How often each process adds what it has counted to what all of them have; with 0 only /metrics does, for its own.
TELEMETRY_SECONDS = 5.0

# For links in what leaves the console; without it they are left out.
CONSOLE_URL = env_url("CONSOLE_URL", {"http", "https"}, "https://console.example.com")
# Pages to which what is stored or sent leads, as console/urls has them.
PAGES = {
    "leave": "/leave/?to={}",
    "notification": "/notifications/{}/",
    "confirm-email": "/settings/notifications/confirm/{}/",
}
# What follows one of these opens something to whoever reads it: a sign-in, a shared chat, an address of e-mail.
log_lines.hide_after("/shared/", "/accounts/link/", "/settings/notifications/confirm/")
# Webhooks may then lead to addresses that are not of the public internet, and be without TLS.
WEBHOOK_PRIVATE = env_bool("CONSOLE_WEBHOOK_PRIVATE")
globals().update(mail(env("EMAIL_URL"), env("EMAIL_FROM")))
EMAIL_TIMEOUT = 10
# For all of a try but the look-up of the name, however slowly the answer drips.
WEBHOOK_TIMEOUT = 15

VERTEX_API_ENDPOINT = env_url("VERTEX_API_ENDPOINT", {"http", "https"}, "http://127.0.0.1:8085")
# By which the local Vertex AI knows this console when it is told to import models.
VERTEX_IMPORT_KEY = env_secret("LOCALVERTEX_IMPORT_KEY", 16)
VERTEX_PROJECT = env("VERTEX_PROJECT", "garden-local" if VERTEX_API_ENDPOINT else "")
VERTEX_LOCATION = env("VERTEX_LOCATION", "us-central1")
# Those that people may choose from beside it; none: all that Google documents for the tuning of open models.
VERTEX_LOCATIONS = env_locations("VERTEX_LOCATIONS")
# Without a name it is as good as empty.
VERTEX_BUCKET = env("VERTEX_BUCKET").rstrip("/").removesuffix("gs:") or (
    "gs://garden-local" if VERTEX_API_ENDPOINT else ""
)
if VERTEX_BUCKET and not VERTEX_BUCKET.startswith("gs://"):
    raise ImproperlyConfigured(f"VERTEX_BUCKET={VERTEX_BUCKET!r} is not a bucket. Enter, for example, gs://my-bucket.")
# How long one call may take: to look, or to create.
VERTEX_READ_SECONDS, VERTEX_CREATE_SECONDS = 10.0, 60.0
VERTEX_PAGE_SIZE = 100
VERTEX_POLL_SECONDS = env_number("VERTEX_POLL_SECONDS", 10, 0.2)
# How long a create whose outcome is unknown is looked for before a person is asked; and how often.
VERTEX_AMBIGUOUS_SECONDS = env_number("VERTEX_AMBIGUOUS_SECONDS", 600, 0)
VERTEX_LOOK_SECONDS = env_number("VERTEX_LOOK_SECONDS", 15, 0.2)
# How many jobs Vertex AI is given at once; the others wait here, where their order can be changed. 0: all of them.
VERTEX_TUNING_AT_ONCE = int(env_number("VERTEX_TUNING_AT_ONCE", 0, 0))
# The container that trains adapters where managed tuning doesn't: its image; a folder with the weights of base models,
# else Hugging Face, with the token in the secret; the account that it runs as, else Vertex AI's own.
VERTEX_TRAINER_IMAGE = env_text("VERTEX_TRAINER_IMAGE", TRAINER_IMAGE, f"{TRAINER_EXAMPLE}:1")
VERTEX_TRAINER_WEIGHTS = env_text("VERTEX_TRAINER_WEIGHTS", r"gs://[^/]+.*", "gs://my-bucket/base-models").rstrip("/")
VERTEX_TRAINER_SECRET = env_text("VERTEX_TRAINER_SECRET", SECRET_VERSION, "projects/p/secrets/hf-token/versions/latest")
VERTEX_TRAINER_ACCOUNT = env_text("VERTEX_TRAINER_ACCOUNT", r"[^@\s]+@[^@\s]+", "trainer@p.iam.gserviceaccount.com")
VERTEX_GATEWAY = "jobs.vertex.sdk.Gateway"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.forms",
    "django_htmx",
    "template_partials",
    "jobs",
    "console",
]

MIDDLEWARE = [
    "console.web.measuring.MeasureMiddleware",
    "console.web.middleware.RequestIdMiddleware",
    "console.web.patience.PatienceMiddleware",
    "console.web.compression.PagesMiddleware",
    "console.web.middleware.SecurityHeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "console.web.audit.AuditMiddleware",
    "console.web.middleware.ForgedRequestMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "console.web.middleware.SessionUseMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "console.web.middleware.HtmxRedirectMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "console.web.middleware.PreferenceMiddleware",
    "console.web.middleware.DomainErrorMiddleware",
    "console.web.refusals.PlainRefusalMiddleware",
]

ROOT_URLCONF = "console.urls.pages"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "console.context_processors.shell",
            ],
        },
    }
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

DATABASES = {"default": database(env("DATABASE_URL"), DATA_DIR)}
REDIS_URL = redis(env("REDIS_URL"))

# Then an answer that is being written when it starts belongs to nobody any more.
CHAT_WORKER_IS_ALONE = env_bool("CONSOLE_CHAT_WORKER_IS_ALONE")

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Celery cannot end a thread: console/pulse.py ends a worker all of whose threads are over their limits.
CELERY_WORKER_POOL = "threads"
CELERY_TASK_TIME_LIMIT = 90
# By Celery never: console/celery.py closes connections as a request does.
CELERY_DB_REUSE_MAX = 1_000_000_000
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 5
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A broker that answers, but refuses to write, because its disk is full or its memory used up.
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 900,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_connect_timeout": 2,
    # Shorter than the time after which a worker that waits for it would count as deaf.
    "socket_timeout": 10,
    "socket_keepalive": True,
    "health_check_interval": 25,
    "global_keyprefix": "console:",
}
# A page waits for its message to be sent; one that is not is made up for by the next sweep.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0}
CELERY_TASK_DEFAULT_QUEUE = "jobs"
# The broker keeps no note of who has the message of an answer, which takes as long as reading its question: the row is
# what waits, and the sweep names it again. So a worker takes every message that comes, also those it cannot begin yet.
CELERY_TASK_QUEUES = {
    "jobs": {"exchange": "jobs", "routing_key": "jobs"},
    "chat": {"exchange": "chat", "routing_key": "chat", "no_ack": True},
}
CELERY_TASK_ROUTES = {"chat.*": {"queue": "chat"}}
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "jobs.sweep", "schedule": 2.0, "options": {"expires": 10}},
    "probe-status": {"task": "status.probe", "schedule": 60.0, "options": {"expires": 30}},
    "measure-endpoints": {"task": "endpoints.measure", "schedule": 300.0, "options": {"expires": 120}},
    "warn-of-endpoints": {"task": "endpoints.warn", "schedule": 60.0, "options": {"expires": 30}},
    "find-orphaned-jobs": {"task": "jobs.find_orphaned", "schedule": 60.0, "options": {"expires": 30}},
    "look-at-project": {"task": "inventory.sweep", "schedule": 600.0, "options": {"expires": 300}},
    "prune": {"task": "jobs.prune", "schedule": 3600.0, "options": {"expires": 600}},
    "sync-catalogue": {"task": "catalogue.sync", "schedule": 300.0, "options": {"expires": 120}},
    "sync-prices": {"task": "prices.sync", "schedule": 3600.0, "options": {"expires": 600}},
}

AUTHENTICATION_BACKENDS = ["jobs.services.accounts.preferences.Backend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "sign-in"
CSRF_FAILURE_VIEW = "console.views.errors.csrf_failure"
SESSION_ENGINE = "console.web.sessions"
SESSION_COOKIE_AGE = 7 * 24 * 3600
SESSION_IDLE_SECONDS = 3600 * env_number("CONSOLE_SESSION_IDLE_HOURS", 8, 0.1)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
# With this prefix a browser takes a cookie from this very host and over HTTPS only.
COOKIE_PREFIX = "__Host-" if HTTPS else ""
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}sessionid", f"{COOKIE_PREFIX}csrftoken"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    # Health checks ask the process itself, past the proxy.
    SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz(/[a-z]+)?$", "^metrics$"]
    SECURE_HSTS_SECONDS = 31_536_000
# The content security policy forbids frames; other names under the same domain are not ours to decide about.
SILENCED_SYSTEM_CHECKS = ["security.W002", "security.W005", "security.W021"]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("ko", _("Korean"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_TZ = True
FORMAT_MODULE_PATH = "console.formats"
TIME_ZONE = env("CONSOLE_TIME_ZONE", "UTC")

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
STATIC_ROOT = Path(env("CONSOLE_STATIC_ROOT", str(DATA_DIR / "static"))).resolve()
try:
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)
except OSError as error:
    raise unusable(STATIC_ROOT, error) from None
# A folder of its own is there for others to read, such as a proxy.
STATIC_MODES = (0o700, 0o600) if STATIC_ROOT.is_relative_to(DATA_DIR) else (0o755, 0o644)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "files": files(env("FILES_URL"), VERTEX_BUCKET, bool(env("CONSOLE_SECRET_KEY"))),
    "staticfiles": {
        "BACKEND": "console.web.compression.StaticFiles",
        "OPTIONS": dict(zip(("directory_permissions_mode", "file_permissions_mode"), STATIC_MODES, strict=True)),
    },
}
FILE_UPLOAD_PERMISSIONS = 0o600
WHITENOISE_USE_FINDERS = True
WHITENOISE_ALLOW_ALL_ORIGINS = False

DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
FILE_UPLOAD_MAX_MEMORY_SIZE = 1_048_576
# With less room on the disk of the data directory the database cannot even begin: it writes what changes beside its
# file first.
DISK_LEAST_BYTES = 256 * 1024
DATASET_MAX_BYTES = 50 * 1024 * 1024
# Of a file that the worker takes from Cloud Storage, which no person and no web process waits for.
DATASET_CLOUD_MAX_BYTES = 500 * 1024 * 1024

LOG_FORMATS = {
    "text": {"()": "jobs.log_lines.LineFormatter", "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s"},
    "json": {"()": "console.json_lines.JsonFormatter"},
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": LOG_FORMATS[env_choice("LOG_FORMAT", *LOG_FORMATS)]},
    "filters": {"calm": {"()": "jobs.shortages.Calm"}, "lost_broker": {"()": "jobs.log_lines.LostBroker"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["calm"]}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    # Uvicorn and Django have brought handlers of their own by the time that this is read.
    "loggers": {
        "django": {"handlers": []},
        **{
            name: {"handlers": ["stderr"], "propagate": False, "level": "INFO"} for name in ("uvicorn", "django.server")
        },
        # Without a handler uvicorn writes no line a request: addresses have tokens in them, and each line takes time.
        "uvicorn.access": {"handlers": [], "propagate": False},
        **{f"celery.worker.{name}": {"filters": ["lost_broker"]} for name in ("request", "consumer.consumer")},
        **{
            name: {"level": "WARNING"}
            for name in ("httpx", "celery.app.trace", "celery.beat", "celery.worker.strategy")
        },
    },
}
