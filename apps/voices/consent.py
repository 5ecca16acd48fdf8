"""Whose voice may be matched: those whose consent is on record and has not ended."""

from datetime import datetime, time, timedelta

from django.db.models import Q
from django.utils import timezone

from apps.catalog.models import Speaker

NO_END = 2**40


def consent_lasts(speaker: Speaker) -> bool:
    """Is a consent on record, and has it no end, or one still to come?"""
    return bool(speaker.consent_by and speaker.consent_on) and (
        speaker.consent_until is None or speaker.consent_until >= timezone.localdate()
    )


def consent_lasts_in(query: str) -> Q:
    """The same as a condition; query: the way to the speaker, such as "speaker"."""
    lasts = Q(**{f"{query}__consent_until": None})
    lasts |= Q(**{f"{query}__consent_until__gte": timezone.localdate()})
    on_record = Q(**{f"{query}__consent_on__isnull": False}) & ~Q(**{f"{query}__consent_by": ""})
    return lasts & on_record


def consent_end(speaker: Speaker) -> int:
    """Seconds since 1970 at the end of its last day: far away without an end, 0 without consent."""
    if not (speaker.consent_by and speaker.consent_on):
        return 0
    if speaker.consent_until is None:
        return NO_END
    after = datetime.combine(speaker.consent_until + timedelta(days=1), time.min)
    return int(timezone.make_aware(after).timestamp()) - 1
