"""Forget a speaker, or one recording of theirs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import models, transaction
from django.db.models import Q

from apps.analysis.models import Leftover
from apps.catalog.models import Track
from apps.catalog.selectors import copies_of, retired_for
from apps.catalog.services.deleting import delete_tracks, forget_in_console
from apps.catalog.services.editing import edit_track, let_searches_find
from apps.voices.audit import note
from apps.voices.enrolling import title_of_enrolment
from apps.voices.holdings import forget_enrolments
from apps.voices.models import Enrolment, Speaker, VoiceAction

DAY = r"\d{4}-\d\d-\d\d"


class Recordings(models.TextChoices):
    """What becomes of the recordings that an erased speaker was known by."""

    DELETE = "delete", "Delete them, too"
    KEEP = "keep", "Keep them as ordinary recordings, without the name and the voice"


@dataclass(frozen=True)
class ToErase:
    """What erasing a speaker touches, in tracks.

    copies: the same bytes in another collection, and duplicates that were taken out for these;
    attributed: tracks that name the speaker and were never enrolled, which stay and lose the name.
    """

    enrolled: int
    copies: int
    attributed: int


def what_is_erased(speaker: Speaker) -> ToErase:
    """To be told before it is done."""
    enrolled = set(speaker.enrolments.values_list("track_id", flat=True))
    with_copies = copies_of(enrolled)
    attributed = speaker.tracks.exclude(pk__in=with_copies)
    return ToErase(len(enrolled), len(with_copies - enrolled), attributed.count())


def unenrol(*, enrolment: Enrolment, by: Any) -> None:
    """Forget one recording of a speaker, vectors and audio."""
    forget_enrolments(enrolment.track.enrolments.select_related("space"))
    number, speaker = enrolment.pk, enrolment.speaker_id
    delete_tracks([enrolment.track_id, *retired_for([enrolment.track_id])])
    note(VoiceAction.UNENROL, by, speaker, enrolment=number)


def erase_speaker(
    *, speaker: Speaker, by: Any, recordings: Recordings | str = Recordings.DELETE
) -> None:
    """Forget a speaker: name, vectors and, unless they are kept, the recordings they come from.

    What is erased is what was enrolled, whoever a track is attributed to by now and in whatever
    collection the same bytes are once more. The audit log keeps a number.
    Raises IndexUnavailable before anything is deleted.
    """
    keep = recordings == Recordings.KEEP
    number, name = speaker.pk, speaker.name
    enrolled = set(speaker.enrolments.values_list("track_id", flat=True))
    tracks = set[int]() if keep else copies_of(enrolled)
    rows = Enrolment.objects.filter(Q(speaker=speaker) | Q(track__in=tracks))
    vectors = speaker.enrolments.count()
    forget_enrolments(rows.select_related("space"))
    delete_tracks(tracks)
    with transaction.atomic():
        Speaker.objects.select_for_update().get(pk=number)
        late = not keep and speaker.enrolments.exists()
        if not late:
            let_searches_find(speaker.enrolments.values_list("track_id", flat=True))
            _take_name_off(speaker.tracks.all() | Track.objects.filter(pk__in=enrolled), name)
            speaker.delete()
            Leftover.objects.create(space=None)
            kept = {"kept": len(enrolled)} if keep else {}
            note(VoiceAction.ERASE, by, number, recordings=len(tracks), vectors=vectors, **kept)
            forget_in_console(Speaker, [number])
    if late:  # somebody enrolled one meanwhile
        erase_speaker(speaker=speaker, by=by, recordings=recordings)


def _take_name_off(tracks: Iterable[Track], name: str) -> None:
    """Give a title without the name to those whose title enrolling made."""
    made = re.compile(re.escape(title_of_enrolment(name, "")) + f"({DAY})")
    for track in tracks:
        if found := made.fullmatch(track.title):
            edit_track(track=track, changes={"title": title_of_enrolment("Recording", found[1])})
