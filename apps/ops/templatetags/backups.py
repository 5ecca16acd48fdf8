"""The last backup, for the status page, which belongs to a part that knows nothing of backups."""

from datetime import UTC, datetime
from typing import Any

from django import template
from django.conf import settings

from apps.ops.backups.recording import last_backup

register = template.Library()


@register.simple_tag(name="last_backup")
def told_backup() -> dict[str, Any]:
    """When one was whole, when one failed and why, and when the next is due; empty without any."""
    last = last_backup()
    told: dict[str, Any] = {"daily_at": settings.BACKUP_AT if settings.BACKUP_TO else None}
    if last is not None:
        told |= {
            "problem": last.problem,
            "at": _moment(last.at),
            "whole_at": _moment(last.whole_at),
        }
    return told


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
