"""Whose voice may be matched: those whose consent is on record and has not ended."""

from datetime import datetime, time, timedelta

from django.db.models import Q
from django.utils import timezone

from apps.voices.models import Speaker
from audiosearch.engine.errors import AudioError

NO_END = 2**40


class NoConsent(AudioError):
    """The speaker's consent is not on record, or has ended."""

    code = "no_consent"


def consent_lasts(speaker: Speaker) -> bool:
    """Is a consent on record, and has it no end, or one still to come?"""
    return bool(speaker.consent_by and speaker.consent_on) and (
        speaker.consent_until is None or speaker.consent_until >= timezone.localdate()
    )


def consent_lasts_in(to_speaker: str = "") -> Q:
    """The same as a condition; to_speaker: the lookup that leads there ("speaker__")."""
    lasts = Q(**{f"{to_speaker}consent_until": None})
    lasts |= Q(**{f"{to_speaker}consent_until__gte": timezone.localdate()})
    on_record = Q(**{f"{to_speaker}consent_on__isnull": False})
    on_record &= ~Q(**{f"{to_speaker}consent_by": ""})
    return lasts & on_record


def consent_end(speaker: Speaker) -> int:
    """Seconds since 1970 at the end of its last day: far away without an end, 0 without consent."""
    if not (speaker.consent_by and speaker.consent_on):
        return 0
    if speaker.consent_until is None:
        return NO_END
    after = datetime.combine(speaker.consent_until + timedelta(days=1), time.min)
    return int(timezone.make_aware(after).timestamp()) - 1


def refuse_without_consent(speaker: Speaker) -> None:
    """Raise NoConsent unless consent is on record and has not ended."""
    if not (speaker.consent_by and speaker.consent_on):
        raise NoConsent(
            f"The consent of {speaker.name} is not on record; enter who gave it, and when, first."
        )
    if not consent_lasts(speaker):
        raise NoConsent(f"The consent of {speaker.name} ended on {speaker.consent_until}.")
