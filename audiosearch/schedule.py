"""What is done regularly: for Celery's beat, which asks for each task by its name."""

from datetime import time
from typing import Any

from celery.schedules import crontab

EVERY_S = {
    "analysis.reconcile": 15,
    "analysis.rewrite": 15,
    "voices.reconcile": 60,
    "monitoring.reconcile": 60,
    "discovery.duplicates": 60,
    "monitoring.sweep": 3600,
    "discovery.sweep": 3600,
    "search.sweep_clips": 3600,
    "access.sweep": 3600,
}
BACKUP_EXPIRES_S = 6 * 3600


def beat_schedule(
    *, check_every_hours: int, verify_every_days: int, backup_at: time | None
) -> dict[str, dict[str, Any]]:
    """Celery's `beat_schedule`; 0 and None leave a task out."""
    every_s = dict(EVERY_S)
    if check_every_hours:
        every_s["analysis.check"] = check_every_hours * 3600
    if verify_every_days:
        every_s["analysis.verify"] = 3600  # does nothing when the slice of today is done
    schedule: dict[str, dict[str, Any]] = {
        task: {"task": task, "schedule": float(seconds), "options": {"expires": seconds}}
        for task, seconds in every_s.items()
    }
    if backup_at is not None:
        at = crontab(hour=backup_at.hour, minute=backup_at.minute)
        options = {"expires": BACKUP_EXPIRES_S}
        schedule["ops.backup"] = {"task": "ops.backup", "schedule": at, "options": options}
    return schedule
