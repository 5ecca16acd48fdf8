"""What can be wrong with the settings as a whole, in words; told by `check` and at every start."""

import ipaddress
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError
from django.urls import URLResolver, get_resolver

from apps.ops.modes import open_to_others
from audiosearch import environment as env
from audiosearch.database_version import HINT, newer_database
from audiosearch.engine.analyzers.registry import analyzer_class
from audiosearch.engine.errors import ModelUnavailable

TAG = "audiosearch"
LEAST_FREE = 10**9
LEAST_SECRET = 50
HANDED_OVER = Path("/run/secrets")
"""Where containers find their secrets: everybody in the container may read them there."""


@register(TAG)
def data_folder(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """DATA_DIR can be written to and has room."""
    folder = Path(settings.DATA_DIR)
    try:
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        message = f"Nothing can be written to DATA_DIR, {folder}: {error.strerror}."
        hint = "Let the user of the service write there, or name another folder."
        return [Error(message, hint, id="audiosearch.E001")]
    if free >= LEAST_FREE:
        return []
    message = f"Only {free // 10**6} MB are free in DATA_DIR, {folder}."
    return [Warning(message, "Make room, or name another disk.", id="audiosearch.W001")]


@register(TAG)
def database_version(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The database is none of a newer version; every command looks, `migrate` included."""
    problem = newer_database()
    return [Error(problem, HINT, id="audiosearch.E003")] if problem else []


@register(TAG)
def secret_key(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Nobody can guess or read what signs the sessions."""
    found: list[CheckMessage] = []
    if len(settings.SECRET_KEY) < LEAST_SECRET:
        message = f"SECRET_KEY has fewer than {LEAST_SECRET} characters; sessions can be forged."
        hint = "Leave it out, and one is made; or: openssl rand -base64 48"
        found.append(Warning(message, hint, id="audiosearch.W002"))
    path = _key_file()
    if path and path.exists() and path.stat().st_mode & 0o004:
        message = f"Every user of this machine may read the secret key in {path}."
        hint = f"chmod 600 {shlex.quote(str(path))}"
        found.append(Warning(message, hint, id="audiosearch.W003"))
    return found


@register(TAG)
def modes(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """What is kept is not for everybody on this machine; a sample is looked at."""
    folder = Path(settings.DATA_DIR)
    wide = open_to_others(folder)
    if not wide:
        return []
    group = not settings.UMASK & 0o070
    others = "every user of this machine" if group else "other users of this machine"
    message = f"What {others} may open is in DATA_DIR: {len(wide)} found, such as {wide[0]}."
    hint = f"chmod -R {'o' if group else 'go'}-rwx {shlex.quote(str(folder))}"
    if not group:
        hint += " (with DATA_DIR_GROUP=1 the group may share it, and this looks at all others)"
    return [Warning(message, hint, id="audiosearch.W011")]


def _key_file() -> Path | None:
    """The file the key comes from, if it does and lies where others might read it."""
    named = env.file_of("SECRET_KEY")
    if named is None:
        return None if env.text("SECRET_KEY") else Path(settings.DATA_DIR) / "secret_key"
    return None if named.is_relative_to(HANDED_OVER) else named


@register(TAG)
def network(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """What is open to other machines is fit for them."""
    found: list[CheckMessage] = []
    if settings.DEBUG and not _is_loopback(settings.HOST):
        message = f"DEBUG is on while HOST is {settings.HOST}: errors show settings to everybody."
        hint = "Set DEBUG=0, or HOST=127.0.0.1."
        found.append(Error(message, hint, id="audiosearch.E002"))
    if "*" in settings.ALLOWED_HOSTS and not settings.HTTPS:
        message = "The service answers under any name, and passwords travel unencrypted (HTTPS=0)."
        hint = "Name it in ALLOWED_HOSTS; put a TLS proxy in front and set HTTPS=1."
        found.append(Warning(message, hint, id="audiosearch.W004"))
    return found


@register(TAG, deploy=True)
def proxy(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Somebody in front takes in what is sent slowly."""
    if settings.REST_FRAMEWORK["NUM_PROXIES"]:
        return []
    message = (
        "No proxy is in front (PROXIES=0): whoever sends a large file slowly holds one of the "
        f"{settings.MAX_CONCURRENT_UPLOADS} places for uploads, with its thread, all the while."
    )
    hint = (
        "Put one there that takes bodies in whole before it hands them on, as the nginx of "
        "docker-compose.yml does, and say how many there are: PROXIES=1."
    )
    return [Warning(message, hint, id="audiosearch.W010")]


@register(TAG)
def sub_path(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """URL_PREFIX is told apart from addresses of our own, as a proxy may leave it out."""
    first = settings.URL_PREFIX.strip("/")
    if first not in {*_first_steps(get_resolver()), "static"} - {""}:
        return []
    message = f"URL_PREFIX is {settings.URL_PREFIX}, below which the service has pages of its own."
    return [Error(message, "Choose another, such as /sounds.", id="audiosearch.E004")]


def _first_steps(resolver: URLResolver) -> set[str]:
    """What addresses begin with, up to the first slash."""
    found: set[str] = set()
    for pattern in resolver.url_patterns:
        step = str(pattern.pattern).partition("/")[0]
        if step:
            found.add(step)
        elif isinstance(pattern, URLResolver):
            found |= _first_steps(pattern)
    return found


@register(TAG)
def services(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The services named fit together."""
    found: list[CheckMessage] = []
    sqlite = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    if sqlite and settings.REDIS_URL:
        message = "REDIS_URL is set, but the database is SQLite, which serves one machine only."
        hint = "For workers or web servers on several machines, set DATABASE_URL to PostgreSQL."
        found.append(Warning(message, hint, id="audiosearch.W005"))
    if not settings.REDIS_URL and not _is_loopback(urlsplit(settings.MILVUS_URI).hostname):
        message = (
            "MILVUS_URI is another machine, and REDIS_URL is not set: the queue is a folder of "
            "this machine."
        )
        hint = "For workers or web servers on several machines, set REDIS_URL."
        found.append(Warning(message, hint, id="audiosearch.W006"))
    return found


@register(TAG)
def rights(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Nobody adds who may not search."""
    adds, searches = settings.WHO_MAY_ADD, settings.WHO_MAY_SEARCH
    if settings.WHO.index(adds) >= settings.WHO.index(searches):
        return []
    message = f"WHO_MAY_ADD={adds} lets people add who may not search (WHO_MAY_SEARCH={searches})."
    return [Warning(message, f"Set WHO_MAY_ADD={searches}.", id="audiosearch.W007")]


@register(TAG)
def voice_model(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The model that hears voices is there."""
    return _missing(settings.VOICE_ENCODER, "VOICE_ENCODER", "audiosearch.W008")


@register(TAG, Tags.database)
def search_model(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The model that answers searches is there; asks the database which one does."""
    from apps.analysis.models import Space, SpaceKind, SpaceState

    if not kwargs.get("databases"):
        return []
    try:
        space = Space.objects.filter(kind=SpaceKind.EMBEDDING, state=SpaceState.ACTIVE).first()
    except DatabaseError:
        return []  # not migrated yet, or away, which is told by whoever needs it
    if space is None:
        return []
    return _missing(space.analyzer, "The encoder that answers searches", "audiosearch.W009")


def _missing(encoder: str, role: str, number: str) -> list[CheckMessage]:
    try:
        state = analyzer_class(encoder).state(settings.MODELS_DIR)
    except ModelUnavailable as error:
        return [Warning(f"{role} is {encoder}. {error}", id=number)]
    if state == "ready":
        return []
    message = f"{role} is {encoder}, whose model in {settings.MODELS_DIR} is not ready: {state}."
    return [Warning(message, f"./manage models pull {encoder}", id=number)]


def _is_loopback(host: str | None) -> bool:
    """Whether only this machine reaches it; no host is no network."""
    try:
        return not host or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
