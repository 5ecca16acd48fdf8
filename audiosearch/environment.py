"""Reads settings from the environment, or from files it names, and refuses nonsense in words."""

import os
import re
import secrets
from datetime import datetime, time
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

SUB_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[\w.~-]+)+", re.ASCII)
"""One or more steps of plain characters, each after a slash; none leads up."""
SECRETS = ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "MILVUS_TOKEN")
"""Settings that may come from the file at NAME_FILE instead, and are never shown."""


def text(name: str, default: str = "") -> str:
    """The value of a setting; raises ImproperlyConfigured when its file cannot be read."""
    path = file_of(name)
    if path is None:
        return os.environ.get(name, default).strip()
    if os.environ.get(name, "").strip():
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set; leave one of them out.")
    try:
        value = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ImproperlyConfigured(
            f"{name}_FILE is {path}, which cannot be read: {reason}."
        ) from None
    if not value:
        raise ImproperlyConfigured(f"{name}_FILE is {path}, which is empty.")
    return value


def file_of(name: str) -> Path | None:
    """The file that a secret setting comes from, as Docker and Kubernetes hand them over."""
    path = os.environ.get(f"{name}_FILE", "").strip() if name in SECRETS else ""
    return Path(path) if path else None


def boolean(name: str, default: bool) -> bool:
    value = text(name, str(default)).lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off", ""):
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}; it must be 1 or 0.")


def integer(name: str, default: int, *, least: int = 0, most: int = 2**63) -> int:
    value = text(name, str(default))
    if not value.isdecimal() or not least <= int(value) <= most:
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it must be a whole number from {least} to {most}."
        )
    return int(value)


def choice(name: str, default: str, options: tuple[str, ...]) -> str:
    value = text(name, default)
    for option in options:
        if value.casefold() == option.casefold():
            return option
    raise ImproperlyConfigured(f"{name} is {value!r}; it must be one of {', '.join(options)}.")


def clock(name: str, default: str) -> time:
    """A time of day."""
    value = text(name, default)
    try:
        return datetime.strptime(value, "%H:%M").time()
    except ValueError:
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it must be a time of day such as 03:00."
        ) from None


def names(name: str, default: str = "") -> list[str]:
    return [item.strip() for item in text(name, default).split(",") if item.strip()]


def folder(name: str, default: Path) -> Path:
    path = Path(text(name) or default).expanduser().resolve()
    if path.exists() and not path.is_dir():
        raise ImproperlyConfigured(f"{name} is {path}, which is not a folder.")
    return path


def url(name: str, default: str, schemes: tuple[str, ...]) -> str:
    value = text(name, default)
    if value and not value.startswith(tuple(f"{scheme}:" for scheme in schemes)):
        told = f"{name}" if name in SECRETS else f"{name} is {value!r}; it"
        raise ImproperlyConfigured(
            f"{told} must start with one of {', '.join(schemes)} and a colon."
        )
    if "#" in value:  # all from there on would be left out
        raise ImproperlyConfigured(f"{name} holds a #; write it as %23.")
    return value


def sub_path(name: str) -> str:
    """The part of a web address below which the service is, such as /sounds; empty for none."""
    value = text(name).rstrip("/")
    if value and not SUB_PATH.fullmatch(value):
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it must be a path such as /sounds: a slash, then letters, "
            "digits, dots, dashes, underscores or tildes."
        )
    return value


def make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"The folder {path} cannot be made: {error.strerror}. Let this user write there, or "
            "name another folder in DATA_DIR."
        ) from error


def kept_secret(path: Path) -> str:
    """The secret in `path`, made on first use; for its owner, and by the umask for the group."""
    make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o660)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(50))
    return path.read_text().strip()
