"""All settings, driven by the environment; every variable is listed in `docs/operating.md`."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url
from whitenoise.compress import Compressor

from audiosearch import environment as env
from audiosearch.engine.audio.messages import Budget
from audiosearch.schedule import beat_schedule

# Of every process that runs us: what it writes is nobody else's to read, or its group's alone.
UMASK = 0o007 if env.boolean("DATA_DIR_GROUP", False) else 0o077
os.umask(UMASK)
BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = env.folder("DATA_DIR", BASE_DIR / "data")

# --- Who it is on the network -------------------------------------------------------------------
HOST = env.text("HOST", "127.0.0.1")
PORT = env.integer("PORT", 8000, least=1, most=65535)
DEBUG = env.boolean("DEBUG", False)
SECRET_KEY = env.text("SECRET_KEY") or env.kept_secret(DATA_DIR / "secret_key")
ALLOWED_HOSTS = env.names("ALLOWED_HOSTS", f"localhost,127.0.0.1,[::1],{HOST}")
if HOST in ("0.0.0.0", "::") and not env.text("ALLOWED_HOSTS"):  # noqa: S104
    ALLOWED_HOSTS = ["*"]
CSRF_TRUSTED_ORIGINS = env.names("CSRF_TRUSTED_ORIGINS")
CSRF_FAILURE_VIEW = "audiosearch.web.errors.csrf_failure"
URL_PREFIX = env.sub_path("URL_PREFIX")
if URL_PREFIX:  # another Django on this host has cookies of the same names, and they would win
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "audiosearch_session", "audiosearch_csrf"
HTTPS = env.boolean("HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
# Probes speak plain HTTP.
SECURE_REDIRECT_EXEMPT = [r"(^|/)api/v1/(live|ready)/$", r"(^|/)metrics$"]
SECURE_HSTS_SECONDS = 31536000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = env.boolean("HSTS_SUBDOMAINS", False)
# These two ask for HSTS on every host below this one, which may not be ours to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {  # scripts, styles and sounds from this origin only
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "media-src": ["'self'", "blob:"],
        "connect-src": ["'self'", "blob:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- The four services: embedded unless a URL is given ------------------------------------------
DATABASE_URL = env.url("DATABASE_URL", "", ("sqlite", "postgres", "postgresql"))
_EMBEDDED: dict[str, Any] = {  # not by a URL, in which #, ? and % of a folder's name mean more
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": str(DATA_DIR / "audiosearch.sqlite3"),
    "CONN_MAX_AGE": 60,
}
DATABASES: dict[str, Any] = {
    "default": dj_database_url.parse(DATABASE_URL, conn_max_age=60) if DATABASE_URL else _EMBEDDED
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

MILVUS_PORT_FILE = DATA_DIR / "run" / "milvus.port"
EMBEDDED_MILVUS = not env.text("MILVUS_URI")


def _milvus_uri() -> str:
    port = MILVUS_PORT_FILE.read_text().strip() if MILVUS_PORT_FILE.exists() else "19530"
    return env.url("MILVUS_URI", f"http://127.0.0.1:{port}", ("http", "https", "tcp"))


MILVUS_URI = _milvus_uri()
MILVUS_TOKEN = env.text("MILVUS_TOKEN")
MILVUS_PREFIX = env.text("MILVUS_PREFIX", "audiosearch")
LANDMARK_INDEX = env.choice("LANDMARK_INDEX", "segments", ("segments", "milvus"))

REDIS_URL = env.url("REDIS_URL", "", ("redis", "rediss", "unix"))
if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": MILVUS_PREFIX,
            "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
        }
    }
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
# What is limited is counted where all processes read it, in a table that a migration makes.
CACHES["limits"] = (
    CACHES["default"]
    if REDIS_URL
    else {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "access_limits",
        "OPTIONS": {"MAX_ENTRIES": 100_000},  # past it others push a count out
    }
)

# --- Celery -------------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL or "filesystem://"
CELERY_TASK_DEFAULT_QUEUE = f"{MILVUS_PREFIX}.listen"
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CHECK_EVERY_HOURS = env.integer("CHECK_EVERY_HOURS", 24)
VERIFY_EVERY_DAYS = env.integer("VERIFY_EVERY_DAYS", 30)
BACKUP_TO = env.folder("BACKUP_TO", DATA_DIR) if env.text("BACKUP_TO") else None
BACKUP_AT = env.clock("BACKUP_AT", "03:00")
BACKUP_KEEP = env.integer("BACKUP_KEEP", 7, least=1)
TIME_ZONE = env.text("TIME_ZONE", "UTC")
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULE = beat_schedule(
    check_every_hours=CHECK_EVERY_HOURS,
    verify_every_days=VERIFY_EVERY_DAYS,
    backup_at=BACKUP_AT if BACKUP_TO else None,
)
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "run" / "beat-schedule")
if REDIS_URL:
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {
        "socket_timeout": 2,
        "socket_connect_timeout": 2,
    }
else:
    _QUEUE_DIR = str(DATA_DIR / "queue")
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": _QUEUE_DIR,
        "data_folder_out": _QUEUE_DIR,
        "control_folder": str(DATA_DIR / "queue-control"),
        "polling_interval": 0.2,
    }

# --- Files --------------------------------------------------------------------------------------
MEDIA_ROOT = DATA_DIR / "media"
MODELS_DIR = env.folder("MODELS_DIR", DATA_DIR / "models")
MODELS_URL = env.url("MODELS_URL", "", ("http", "https"))
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "frontend" / "static"]
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(MEDIA_ROOT), "file_permissions_mode": 0o666 & ~UMASK},
    },
    "staticfiles": {"BACKEND": "audiosearch.web.static_files.StaticFiles"},
}
WHITENOISE_STATIC_PREFIX = "/static/"
# Source maps take most of the time that compression takes, and only debuggers ask for them.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = (*Compressor.SKIP_COMPRESS_EXTENSIONS, "map")
FILE_UPLOAD_HANDLERS = ["audiosearch.web.uploading.OneFileEach"]
FILE_UPLOAD_TEMP_DIR = str(DATA_DIR / "uploads")
for _folder in (
    DATA_DIR / "run",
    DATA_DIR / "queue",
    DATA_DIR / "queue-control",
    MEDIA_ROOT,
    MODELS_DIR,
    STATIC_ROOT,
    Path(FILE_UPLOAD_TEMP_DIR),
):
    env.make_folder(_folder)

# --- Limits -------------------------------------------------------------------------------------
MAX_FILE_BYTES = env.integer("MAX_FILE_MB", 1024, least=1) * 1024 * 1024
MAX_DURATION_S = env.integer("MAX_DURATION_S", 4 * 3600, least=1)
MAX_QUERY_DURATION_S = env.integer("MAX_QUERY_DURATION_S", 600, least=1)
MAX_SCAN_DURATION_S = env.integer("MAX_SCAN_DURATION_S", 24 * 3600, least=1)
MAX_SCANS_EACH = env.integer("MAX_SCANS_EACH", 4, least=1)
SCANS_KEPT_DAYS = env.integer("SCANS_KEPT_DAYS", 90)
SEARCHES_PER_MINUTE = env.integer("SEARCHES_PER_MINUTE", 120)
MAX_CONCURRENT_QUERIES = env.integer("MAX_CONCURRENT_QUERIES", 8, least=1)
MAX_CONCURRENT_REQUESTS = env.integer("MAX_CONCURRENT_REQUESTS", 16, least=2)
MAX_QUERIES_EACH = env.integer("MAX_QUERIES_EACH", max(MAX_CONCURRENT_QUERIES // 2, 1), least=1)
MAX_FORM_BYTES = env.integer("MAX_FORM_KB", 64, least=16) * 1024
BODY_WITHIN_S = env.integer("BODY_WITHIN_S", 10, least=1)
UPLOAD_WITHIN_S = env.integer("UPLOAD_WITHIN_S", 4 * 3600, least=1)
SLOWEST_BYTES_PER_S = env.integer("SLOWEST_KB_PER_S", 8, least=1) * 1024
MAX_WAITING_BODIES = env.integer("MAX_WAITING_BODIES", 256, least=1)
MAX_CONCURRENT_UPLOADS = env.integer("MAX_CONCURRENT_UPLOADS", 32, least=2)
ANSWER_WITHIN_S = env.integer("ANSWER_WITHIN_S", 20, least=1)
QUERY_WAIT_S = env.integer("QUERY_WAIT_S", 5)
DECODE_BUDGET = Budget(per_minute_s=env.integer("DECODE_S_PER_MINUTE", 10, least=1))
QUERY_DECODE_BUDGET = Budget(first_s=env.integer("QUERY_DECODE_S", 10, least=1), per_minute_s=0)
WARM_UP = env.boolean("WARM_UP", True)
RECENT_SEARCHES_KEPT = env.integer("RECENT_SEARCHES_KEPT", 50, least=1)
PLAYBACK_CACHE_MB = env.integer("PLAYBACK_CACHE_MB", 2048, least=1)
MAX_TRACKS_EACH = env.integer("MAX_TRACKS_EACH", 0)
MAX_BYTES_EACH = env.integer("MAX_GB_EACH", 0) * 2**30
MAX_TRACKS = env.integer("MAX_TRACKS", 0)
MAX_BYTES = env.integer("MAX_GB", 0) * 2**30
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
MELODIES = {"fast": "melody", "both": "melody_both"}
ANALYSES = {
    "embedding": ("panns_cnn14", "spectral"),
    "landmarks": ("landmarks",),
    "melody": (MELODIES[env.choice("MELODY", "fast", tuple(MELODIES))],),
    "waveform": ("waveform",),
}
"""What every track is analysed for: of each kind the first analyzer that is ready when the
catalogue begins. Other encoders take over by `./manage models use`."""
VOICE_ENCODER = env.text("VOICE_ENCODER", "resemblyzer")
ENCODER_THREADS = env.integer("ENCODER_THREADS", 0)
TUNE_MEMORY_MB = env.integer("TUNE_MEMORY_MB", 1024, least=1)
"""Of tunes that the web process keeps, so that it need not read them again; 1.5 MB an hour."""

# --- People -------------------------------------------------------------------------------------
WHO = ("anyone", "members", "staff")
WHO_MAY_SEARCH = env.choice("WHO_MAY_SEARCH", "members", WHO)
WHO_MAY_ADD = env.choice("WHO_MAY_ADD", "members", WHO)
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first, so that no password is looked at when locked
    "django.contrib.auth.backends.ModelBackend",
]
AXES_HANDLER = "apps.access.guessing.GuessingHandler"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "ip_address", "username"]
AXES_FAILURE_LIMIT = 10
LOG_IN_FAILURE_LIMITS = (AXES_FAILURE_LIMIT, 50, 100)  # one for each parameter
AXES_COOLOFF_TIME = timedelta(minutes=5)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # nobody else's tries make it longer
AXES_RESET_ON_SUCCESS = True
AXES_USERNAME_CALLABLE = "apps.access.login.name_tried"
AXES_CLIENT_IP_CALLABLE = "apps.access.login.ip_address"
AXES_LOCKOUT_CALLABLE = "apps.access.login.locked_out"
AXES_CLIENT_STR_CALLABLE = "apps.access.login.who_tried"
AXES_SENSITIVE_PARAMETERS = [  # are not kept with a failure
    *("csrfmiddlewaretoken", "code", "old_password", "new_password1", "new_password2"),
]
AXES_VERBOSE = AXES_ENABLE_ADMIN = False
AXES_DISABLE_ACCESS_LOG = True
SESSION_IDLE_MINUTES = env.integer("SESSION_IDLE_MINUTES", 720)
REQUIRE_TOTP_FOR_STAFF = env.boolean("REQUIRE_TOTP_FOR_STAFF", False)
OTP_TOTP_ISSUER = "audiosearch"
AUDIT_LOG_INS_DAYS = env.integer("AUDIT_LOG_INS_DAYS", 365)
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "search"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [  # of new passwords; those there are go on
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in {
        "UserAttributeSimilarityValidator": {},
        "MinimumLengthValidator": {"min_length": 12},
        "CommonPasswordValidator": {},
        "NumericPasswordValidator": {},
    }.items()
]

# --- Django -------------------------------------------------------------------------------------
TRACK_FOLLOWERS = ["apps.analysis.follow", "apps.voices.follow", "apps.discovery.follow"]
"""What follows when tracks come, change and go; see apps/catalog/lifecycle.py."""

TRACK_NOTICES = ["apps.discovery.notices.duplicate_notices"]
"""What is said of a track on its page and in the API; see apps/catalog/notices.py."""

ANSWERS = {
    "same_recording": "apps.search.same_recording.SameRecording",
    "same_tune": "apps.search.same_tune.SameTune",
    "sounds_alike": "apps.search.sounds_alike.SoundsAlike",
    "same_voice": "apps.voices.same_voice.SameVoice",
}
"""What one may ask of a sound, in the order in which a page answers, and the `Answerer`
(apps/analysis/answers.py) of each. The page waits for the first, the others come later."""

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "csp",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "apps.ops",
    "apps.access",
    "apps.jobs",
    "apps.catalog",
    "apps.analysis",
    "apps.search",
    "apps.voices",
    "apps.monitoring",
    "apps.discovery",
]
MIDDLEWARE = [
    "audiosearch.web.prefix.keep_cookies_below",
    "audiosearch.web.request_ids.give_request_ids",
    "audiosearch.web.logs.log_requests",
    "audiosearch.web.metrics.count_requests",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "audiosearch.web.overload.shed_load",
    "audiosearch.web.caching.keep_private",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "apps.access.uploads.GuardUploads",  # before anything looks into a body
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.access.visitors.know_visitor",
    "django.contrib.messages.middleware.MessageMiddleware",
    "apps.access.sessions.follow_sessions",
    "apps.access.require_two_step.require_two_step",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "audiosearch.urls"
WSGI_APPLICATION = "audiosearch.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "frontend" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.access.context.rights",
                "apps.analysis.context.model_notice",
            ],
        },
    },
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
USE_TZ = True

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.access.authentication.ApiTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["apps.access.permissions.MaySearch"],
    "DEFAULT_PARSER_CLASSES": [
        "audiosearch.web.parsers.JSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "audiosearch.web.paging.Pages",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "audiosearch.web.schema.Schema",
    "EXCEPTION_HANDLER": "audiosearch.web.errors.exception_handler",
    "PAGE_SIZE": 50,
    "NUM_PROXIES": env.integer("PROXIES", 0),
}
SPECTACULAR_SETTINGS = {
    "TITLE": "audiosearch",
    "DESCRIPTION": "Search a catalogue of recordings by sound.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "audiosearch.web.schema.name_server",
    ],
    "ENUM_NAME_OVERRIDES": {
        "Kind": "apps.catalog.models.Kind",
        "ListeningState": "apps.jobs.models.State",
        "SpaceState": "apps.analysis.models.SpaceState",
    },
}

LOG_FORMAT = env.choice("LOG_FORMAT", "text", ("text", "json"))
LOG_REQUESTS = env.boolean("LOG_REQUESTS", LOG_FORMAT == "json")
# Levels of their own, as Celery sets that of the root anew.
_TOLD = {"level": "INFO" if LOG_REQUESTS else "WARNING"}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "audiosearch.web.logs.RequestIdFilter"}},
    "formatters": {
        "text": {"()": "audiosearch.web.logs.TextFormatter"},
        "json": {"()": "audiosearch.web.logs.JsonFormatter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": LOG_FORMAT,
            "filters": ["request_id"],
        }
    },
    "root": {
        "handlers": ["console"],
        "level": env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")),
    },
    "loggers": {
        "audiosearch.requests": _TOLD,
        "audiosearch.analysis": _TOLD,
        "axes": {"level": "WARNING"},  # failed log-ins; not those that succeed
        "pymilvus": {"level": "CRITICAL"},
        "libav": {"level": "ERROR"},
        "kombu.connection": {"level": "ERROR"},
    },
}
