"""The audit log: who came in, who was turned away, and who changed what is private."""

import csv
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.http import HttpRequest
from django.utils import timezone

from apps.access.login import ip_address
from apps.access.models import AuditAction, AuditEvent
from audiosearch.web.request_ids import current_request_id

COLUMNS = (
    *("at", "action", "user_number", "username", "address"),
    *("speaker_number", "request_id", "detail"),
)
LOG_INS = (
    AuditAction.LOG_IN,
    AuditAction.LOG_OUT,
    AuditAction.LOG_IN_FAILED,
    AuditAction.LOG_IN_LOCKED,
    AuditAction.SESSION_ENDED,
)
LONGEST_NAME = 150
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would take for a formula; names that strangers tried may begin so."""


def note(
    action: str,
    *,
    by: Any,
    request: HttpRequest | None = None,
    speaker: int | None = None,
    **detail: object,
) -> AuditEvent:
    """Add a line. `by`: a user, the name that somebody tried, or None for the operator."""
    known = getattr(by, "is_authenticated", False)
    return AuditEvent.objects.create(
        action=action,
        user_number=by.pk if known else None,
        username=(by.get_username() if known else by if isinstance(by, str) else "")[:LONGEST_NAME],
        address=ip_address(request) if request else None,
        speaker_number=speaker,
        request_id=current_request_id(),
        detail=detail,
    )


class _Line:
    """What a CSV writer writes to: it hands each line back."""

    def write(self, line: str) -> str:
        return line


def locked_lately(name: str, request: HttpRequest) -> bool:
    """Does the log tell already that this name is locked at this address now?"""
    since = timezone.now() - settings.AXES_COOLOFF_TIME
    told = AuditEvent.objects.filter(action=AuditAction.LOG_IN_LOCKED, at__gt=since)
    return told.filter(username=name[:LONGEST_NAME], address=ip_address(request)).exists()


def csv_lines(events: models.QuerySet[AuditEvent]) -> Iterator[str]:
    """The log as CSV, oldest first, line by line; the first names the columns."""
    writer = csv.writer(_Line())
    yield writer.writerow(COLUMNS)
    for event in events.order_by("at", "pk").iterator():
        row = {name: getattr(event, name) for name in COLUMNS}
        row["at"] = event.at.isoformat()
        row["detail"] = json.dumps(event.detail, ensure_ascii=False, sort_keys=True)
        yield writer.writerow(map(_harmless, row.values()))


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def forget_old_log_ins() -> int:
    """Forget log-ins older than AUDIT_LOG_INS_DAYS, as addresses are personal; how many."""
    if not settings.AUDIT_LOG_INS_DAYS:
        return 0
    until = timezone.now() - timedelta(days=settings.AUDIT_LOG_INS_DAYS)
    old = AuditEvent.objects.filter(action__in=LOG_INS, at__lt=until)
    return old.delete()[0]
