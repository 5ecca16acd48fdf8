"""What a user may know of: tracks of a private collection are for its group and for curators only.

Every list, count, page and index query asks here.
"""

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Any

import redis
from django.apps import apps
from django.conf import settings
from django.core.cache import cache
from django.db.models import F, OuterRef, Q, QuerySet, Subquery

from apps.access.permissions import may_curate
from apps.catalog.models import Collection, Tag, Track, TrackWords
from apps.catalog.words import word_forms
from audiosearch.engine.digests import Damaged, without_digest

_CACHE_KEY = "private-collections"
_CACHE_S = 5
"""So long a change may stay unknown that could not be told because Redis did not answer."""


def seen_by(user: Any, to_track: str = "") -> Q:
    """The condition that a user may know of a track that is not retired.

    to_track: the lookup that leads there ("track__"). None is the service itself, which knows of
    those of every audience.
    """
    return Q(**{f"{to_track}retired_at": None}) & _for(user, to_track)


def _for(user: Any, to_row: str = "") -> Q:
    """The condition that a track, or a collection, is for a user."""
    if user is None or may_curate(user):
        return Q()
    for_all = Q(**{f"{to_row}audience": None})
    if not user.is_authenticated:
        return for_all
    return for_all | Q(**{f"{to_row}audience__in": user.groups.values("pk")})


def visible_tracks(user: Any) -> QuerySet[Track]:
    """The tracks that this user may know of."""
    return Track.objects.filter(seen_by(user))


def retired_tracks(user: Any) -> QuerySet[Track]:
    """The tracks that this user would know of if no other copy stood for them."""
    return Track.objects.filter(_for(user), retired_at__isnull=False)


def shown_as(user: Any, track_ids: Iterable[int]) -> dict[int, int]:
    """The track as which each of these is shown: itself, or the one that it is retired for.

    Those of which this user may not know are left out. What stands for a track may have been
    retired for a third one since.
    """
    now = {track_id: track_id for track_id in track_ids if track_id < 2**63}
    while True:
        gone = retired_tracks(user).filter(pk__in=set(now.values()), replaced_by__isnull=False)
        steps = dict(gone.values_list("pk", "replaced_by_id"))
        if not steps:
            break
        now = {track_id: steps.get(at, at) for track_id, at in now.items()}
    there = visible_tracks(user).filter(pk__in=set(now.values()))
    known = set(there.values_list("pk", flat=True))
    return {track_id: at for track_id, at in now.items() if at in known}


def retired_for(track_ids: Iterable[int]) -> set[int]:
    """The tracks that are retired for one of these, or for one that is retired for it."""
    found, new = set[int](), set(track_ids)
    while new:
        behind = Track.objects.filter(replaced_by__in=new)
        new = set(behind.values_list("pk", flat=True)) - found
        found |= new
    return found


def copies_of(track_ids: Iterable[int]) -> set[int]:
    """These tracks, those of the same bytes for another audience, and all retired for one of them.

    For whoever has to delete what a recording is known by, whoever may see it.
    """
    found, new = set[int](), set(track_ids)
    while new:
        found |= new
        hashes = Track.objects.filter(pk__in=new).values("sha256")
        alike = Track.objects.filter(Q(sha256__in=hashes) | Q(replaced_by__in=new))
        new = set(alike.values_list("pk", flat=True)) - found
    return found


def listed_tracks(user: Any) -> QuerySet[Track]:
    """What this user sees, with all that a list shows, in a fixed number of queries.

    known_speaker: id of the track's speaker, as far as this user may know of them. enrolment_of:
    that of the speaker whom the recording was brought to enrol, in the same way.
    """
    known: Any = F("speaker_id")
    if user is not None and not may_curate(user):
        known = Subquery(visible_speakers(user).filter(pk=OuterRef("speaker_id")).values("pk"))
    enrolled = visible_speakers(user).filter(
        enrolments__track=OuterRef("pk"), enrolments__track__for_enrolment=True
    )
    enrolment_of = Subquery(enrolled.values("pk")[:1])
    tracks = visible_tracks(user).annotate(known_speaker=known, enrolment_of=enrolment_of)
    tracks = tracks.select_related("collection__audience", "audience", "added_by")
    return tracks.prefetch_related("tags", "analyses__space")


def in_state(tracks: QuerySet[Track], state: str) -> QuerySet[Track]:
    """The tracks whose analysis in the active embedding space is in this state."""
    return tracks.filter(
        analyses__space__kind="embedding",
        analyses__space__state="active",
        analyses__state=state,
    )


def serving_analysis(track: Track) -> Any:
    """Its analysis in the active embedding space, from what `listed_tracks` prefetched, or None."""
    return next(
        (
            row
            for row in track.analyses.all()
            if row.space.kind == "embedding" and row.space.is_active
        ),
        None,
    )


def peaks_of(track: Track) -> list[int]:
    """Its waveform; empty until it is listened to, and while what was kept is damaged."""
    try:
        return list(without_digest(bytes(track.peaks)))
    except Damaged:
        return []


def with_words(tracks: QuerySet[Track], text: str) -> QuerySet[Track]:
    """The tracks in whose texts or tags each of the words is found, as `words.py` says."""
    for forms in word_forms(text):
        there = TrackWords.objects.filter(_with_any("words", forms))
        tagged = Track.tags.through.objects.filter(_with_any("tag__words", forms))
        either = Q(pk__in=there.values("pk")) | Q(pk__in=tagged.values("track_id"))
        tracks = tracks.filter(either)
    return tracks


def _with_any(field: str, forms: list[str]) -> Q:
    return reduce(or_, (Q(**{f"{field}__contains": form}) for form in forms))


def with_name_like(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    """The collections, tags or speakers in whose name each word is found, as in with_words."""
    return rows.filter(*(_with_any("words", forms) for forms in word_forms(text)))


def visible_speakers(user: Any) -> QuerySet[Any]:
    """The speakers (of the voices, which are above) that this user may know of.

    Members know of those who are enrolled by a recording that they may know of; curators of all.
    """
    speakers = apps.get_model("voices", "Speaker")._default_manager.all()
    if user is None or may_curate(user):
        return speakers
    if not user.is_authenticated:
        return speakers.none()
    known = visible_tracks(user).filter(enrolments__isnull=False)
    return speakers.filter(pk__in=known.values("enrolments__speaker"))


def visible_collections(user: Any) -> QuerySet[Collection]:
    """The collections that this user may know of."""
    return Collection.objects.select_related("audience").filter(_for(user))


def visible_tags(user: Any) -> QuerySet[Tag]:
    """The tags of tracks that this user may know of, in order."""
    return Tag.objects.filter(tracks__in=visible_tracks(user)).distinct()


def hidden_collections(user: Any) -> tuple[int, ...]:
    """Ids of the collections whose tracks must not be found for this user.

    Asks the database for nothing but the groups of a member, and that only when there is anything
    private (with Redis; without, for the private collections too).
    """
    if user is None or may_curate(user):
        return ()
    private = _private_collections()
    if not private:
        return ()
    groups = set(user.groups.values_list("pk", flat=True)) if user.is_authenticated else set()
    return tuple(pk for pk, group in private.items() if group not in groups)


def tell_private_collections() -> None:
    """Tell every process which collections are private now. Call it after the commit."""
    if not settings.REDIS_URL:
        return
    try:
        cache.set(_CACHE_KEY, _from_database(), _CACHE_S)
    except redis.RedisError:
        return  # without Redis the database is asked


def _private_collections() -> dict[int, int]:
    """Collection id to group id. What is read here never replaces what a change has told."""
    if not settings.REDIS_URL:
        return _from_database()
    try:
        known: dict[int, int] | None = cache.get(_CACHE_KEY)
        if known is None:
            known = _from_database()
            cache.add(_CACHE_KEY, known, _CACHE_S)
    except redis.RedisError:
        return _from_database()
    return known


def _from_database() -> dict[int, int]:
    private = Collection.objects.exclude(audience=None).order_by("pk")
    return dict(private.values_list("pk", "audience"))
