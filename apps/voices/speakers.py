"""Keeping what is known of speakers."""

from collections.abc import Collection
from typing import Any

from django.db import transaction

from apps.catalog.words import nfc, searched_words, sort_key
from apps.voices.audit import note_consent
from apps.voices.holdings import speaker_changed
from apps.voices.models import Speaker


def save_speaker(*, speaker: Speaker, changed: Collection[str], by: Any) -> None:
    """Write a new speaker, or one whose fields `changed`; index and audit log follow."""
    for field in ("name", "notes", "consent_by"):
        most = getattr(Speaker._meta.get_field(field), "max_length", None)
        setattr(speaker, field, nfc(getattr(speaker, field), most))
    speaker.words = searched_words([speaker.name, speaker.external_id or ""])
    speaker.sort_key = sort_key(speaker.name)
    with transaction.atomic():
        speaker.save()
        note_consent(speaker, changed, by)
    speaker_changed(speaker, changed)
