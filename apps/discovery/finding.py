"""Looking for duplicates of the tracks that were analysed since it was last done.

The work is in the database: a track is done when its row says of which analysis. Whoever breaks
off loses no more than the tracks in hand, and one process at a time is at it.
"""

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import lru_cache, partial

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from apps.analysis.index import get_landmark_index, indexed_kind
from apps.analysis.models import SpaceKind, TrackAnalysis
from apps.analysis.queueing import reanalyze
from apps.analysis.representations import NotKept, load_kept
from apps.analysis.spaces import active_space
from apps.catalog.models import Kind, Track
from apps.discovery.loudness import gain_between
from apps.discovery.models import DuplicatePair, SearchedTrack
from apps.jobs.locks import exclusive, holds
from apps.jobs.models import State
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.discovery.duplicates import (
    FASTER,
    SLOWER,
    Duplicate,
    find_duplicates,
    is_still_one,
)
from audiosearch.engine.errors import Conflict
from audiosearch.engine.indexes.filters import TrackFilter

LOCK = "duplicates"
AT_ONCE = 32
LADDER = (*FASTER, *SLOWER)
LANDMARKS_HELD = 512
Found = list[Duplicate] | None
"""None: what was kept of the track is gone."""


def pending(*, again: bool = False) -> QuerySet[TrackAnalysis]:
    """Analyses of the tracks that are still to be looked for, or of all of them, in order.

    Not of what was brought to enrol a speaker, which searches leave out as well.
    """
    space = active_space(SpaceKind.LANDMARKS)
    done = SearchedTrack.objects.filter(
        track=OuterRef("track"), analysed_at=OuterRef("finished_at"), space=space.name
    )
    ready = space.analyses.filter(state=State.READY, finished_at__isnull=False)
    ready = ready.filter(track__retired_at=None, track__for_enrolment=False)
    ready = ready if again else ready.filter(~Exists(done))
    return ready.select_related("space").order_by("track_id")


def search_pending(
    *,
    again: bool = False,
    seconds: float | None = None,
    told: Callable[[int], None] = lambda count: None,
) -> int:
    """Look for duplicates of pending tracks, for so long; returns how many were looked for.

    again: let all be pending; what was found and decided stays until each is looked for. told: of
    how many since the last call. Raises Conflict when another process is at it,
    IndexUnavailable, and SpaceMissing.
    """
    ends = float("inf") if seconds is None else time.monotonic() + seconds
    done, seen = 0, 0
    # Where none was looked for before, the faster of two tracks finds the other.
    began, first = timezone.now(), not SearchedTrack.objects.exists()
    with (
        exclusive(LOCK) as alone,
        ThreadPoolExecutor(len(os.sched_getaffinity(0)), "duplicates") as pool,
    ):
        if not alone:
            raise Conflict("Another process is looking for duplicates; wait until it is done.")
        if again:
            SearchedTrack.objects.update(space="")
        while time.monotonic() < ends:
            rows = list(pending().filter(track_id__gt=seen)[:AT_ONCE])
            if not rows:
                break
            space = rows[0].space.name
            ladders = [FASTER if first and _is_before(row, began) else LADDER for row in rows]
            tracks = [row.track_id for row in rows]
            found = list(pool.map(partial(_find, space), tracks, ladders))
            if not holds(LOCK):
                break
            for row, duplicates in zip(rows, found, strict=True):
                _keep(row, duplicates)
            seen = rows[-1].track_id
            done += len(rows)
            told(len(rows))
    return done


def _is_before(row: TrackAnalysis, when: datetime) -> bool:
    return row.finished_at is not None and row.finished_at < when


def _find(space: str, track_id: int, ladder: tuple[float, ...]) -> Found:
    """In a thread, without the database."""
    try:
        landmarks = load_kept(space, track_id, Landmarks)
    except NotKept:
        return None
    enrolments = tuple(indexed_kind(kind, for_enrolment=True) for kind in Kind.values)
    return find_duplicates(
        landmarks,
        get_landmark_index(),
        space,
        partial(_landmarks, space),
        where=TrackFilter(exclude_kinds=enrolments),
        own_id=track_id,
        ladder=ladder,
    )


@lru_cache(maxsize=LANDMARKS_HELD)
def _landmarks_as_of(space: str, track_id: int, minute: int) -> Landmarks | None:
    try:
        return load_kept(space, track_id, Landmarks)
    except NotKept:
        return None


def _landmarks(space: str, track_id: int) -> Landmarks | None:
    return _landmarks_as_of(space, track_id, int(time.monotonic() // 60))


def _keep(row: TrackAnalysis, found: Found) -> None:
    """Write what was found of a track, unless it was analysed anew meanwhile."""
    if found is None or row.finished_at is None:
        reanalyze([row.track_id], space=row.space)
        return
    with transaction.atomic():
        same = TrackAnalysis.objects.select_for_update().filter(
            pk=row.pk, state=State.READY, finished_at=row.finished_at
        )
        if not same.exists():
            return
        ids = [one.item_id for one in found]
        others = Track.objects.filter(pk__in=ids, for_enrolment=False)
        there = set(others.values_list("pk", flat=True))
        pairs = [_pair(row.track_id, one) for one in found if one.item_id in there]
        if SearchedTrack.objects.filter(track=row.track_id).exists():  # pairs may hold no more
            of_it = Q(first=row.track_id) | Q(second=row.track_id)
            known = DuplicatePair.objects.filter(of_it, dismissed_at=None)
            _drop_untrue(row, known.exclude(Q(first__in=there) | Q(second__in=there)))
        written = _write(pairs)
        SearchedTrack.objects.update_or_create(
            track_id=row.track_id,
            defaults={"space": row.space.name, "analysed_at": row.finished_at},
        )
    for pair in written:
        if pair.gain_db is None:
            with suppress(Track.DoesNotExist):  # it has just been deleted
                gain_db = gain_between(pair)
                DuplicatePair.objects.filter(pk=pair.pk).update(gain_db=gain_db)


def _drop_untrue(row: TrackAnalysis, pairs: Iterable[DuplicatePair]) -> None:
    """Drop pairs that were found before and do not hold any more.

    Of many copies a track finds only the likeliest: one that it did not find may still be true.
    """
    own: Landmarks | None = None
    for pair in pairs:
        known = _as_found(pair, row.track_id)
        try:
            if own is None:
                own = load_kept(row.space.name, row.track_id, Landmarks)
            other = load_kept(row.space.name, known.item_id, Landmarks)
        except NotKept:
            continue  # it is analysed anew, and looked for then
        if not is_still_one(own, other, known):
            pair.delete()


def _write(pairs: Iterable[DuplicatePair]) -> list[DuplicatePair]:
    """Write the evidence; what a person decided of a pair stays."""
    evidence = [
        *("share", "aligned", "of", "first_start_ms", "first_end_ms"),
        *("second_start_ms", "second_end_ms", "speed"),
    ]
    return [
        DuplicatePair.objects.update_or_create(
            first_id=pair.first_id,
            second_id=pair.second_id,
            defaults={name: getattr(pair, name) for name in evidence},
        )[0]
        for pair in pairs
    ]


def _as_found(pair: DuplicatePair, track_id: int) -> Duplicate:
    """A pair as it was, or would be, found by one of its two tracks."""
    start_ms, end_ms = pair.stretch_in(track_id)
    other_start_ms, other_end_ms = pair.stretch_in(pair.other_id(track_id))
    return Duplicate(
        item_id=pair.other_id(track_id),
        share=pair.share,
        aligned=pair.aligned,
        of=pair.of,
        start_ms=start_ms,
        end_ms=end_ms,
        other_start_ms=other_start_ms,
        other_end_ms=other_end_ms,
        speed=pair.speed if track_id == pair.first_id else 1 / pair.speed,
    )


def _pair(track_id: int, found: Duplicate) -> DuplicatePair:
    own, other = (found.start_ms, found.end_ms), (found.other_start_ms, found.other_end_ms)
    swapped = found.item_id < track_id
    first, second = (other, own) if swapped else (own, other)
    return DuplicatePair(
        first_id=min(track_id, found.item_id),
        second_id=max(track_id, found.item_id),
        share=found.share,
        aligned=found.aligned,
        of=found.of,
        first_start_ms=first[0],
        first_end_ms=first[1],
        second_start_ms=second[0],
        second_end_ms=second[1],
        speed=1 / found.speed if swapped else found.speed,
    )
