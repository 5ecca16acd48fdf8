"""What the audit log is told of voices: who asked what about whom."""

from collections.abc import Collection
from typing import Any

from apps.access import audit
from apps.access.models import AuditAction
from apps.voices.models import Speaker, VoiceAction

CONSENT = {"consent_by", "consent_on", "consent_until"}


def note(action: VoiceAction, by: Any, speaker: int | None, **detail: Any) -> None:
    """Write a line; `speaker` is a number, which outlives the speaker."""
    audit.note(action, by=by, speaker=speaker, **detail)


def note_consent(speaker: Speaker, changed: Collection[str], by: Any) -> None:
    """Write a line if these fields are of the consent; without who gave it, as that is a name."""
    if not CONSENT & set(changed):
        return
    audit.note(
        AuditAction.CONSENT,
        by=by,
        speaker=speaker.pk,
        on_record=bool(speaker.consent_by and speaker.consent_on),
        given_on=speaker.consent_on.isoformat() if speaker.consent_on else None,
        until=speaker.consent_until.isoformat() if speaker.consent_until else None,
    )
