"""The audit log: who asked what about whose voice."""

from typing import Any

from apps.voices.models import VoiceAction, VoiceEvent


def note(action: VoiceAction, by: Any, speaker: int | None, **detail: object) -> None:
    """Write a line; `speaker` is a number, which outlives the speaker."""
    known = by is not None and by.is_authenticated
    VoiceEvent.objects.create(
        action=action,
        user=by if known else None,
        username=by.get_username() if known else "",
        speaker_number=speaker,
        detail=detail,
    )
