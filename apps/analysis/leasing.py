"""Which tracks a worker leases, each with all its pending analyses that the worker can do."""

import logging
from collections import defaultdict
from collections.abc import Iterable

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from apps.analysis.models import Space, SpaceState, TrackAnalysis
from apps.jobs.leases import claim
from apps.jobs.models import State
from audiosearch.engine.analyzers.base import Analyzer
from audiosearch.engine.analyzers.registry import load_analyzer
from audiosearch.engine.errors import ModelUnavailable

log = logging.getLogger(__name__)
ended = logging.getLogger("audiosearch.analysis")
LONG_MS = 10 * 60_000
"""A longer recording is long: it may not hold up the others."""
AHEAD = 64
"""How far into the queue one look goes."""


def ready_analyzers() -> dict[int, Analyzer]:
    """The analyzer of each space that this worker can fill, by the space's key.

    Analyses for a space whose model is missing here wait, and say so; they hold up no other.
    """
    found: dict[int, Analyzer] = {}
    queued = TrackAnalysis.objects.filter(state=State.QUEUED).values("space")
    for space in Space.objects.exclude(state=SpaceState.RETIRED).filter(pk__in=queued):
        try:
            found[space.pk] = _load(space)
        except ModelUnavailable as error:
            log.warning("analyses for %s wait: %s", space, error)
            waiting = space.analyses.filter(state=State.QUEUED).exclude(reason=str(error)[:500])
            waiting.update(reason=str(error)[:500])
    return found


def _load(space: Space) -> Analyzer:
    analyzer = load_analyzer(space.analyzer, settings.MODELS_DIR, threads=1)
    if analyzer.spec.space != space.name:
        raise ModelUnavailable(
            f"{space.name} is of another version; {analyzer.spec.space} follows."
        )
    return analyzer


def lease_tracks(
    spaces: Iterable[int], limit: int, *, long: int = 1, others: bool = False
) -> dict[int, list[TrackAnalysis]]:
    """Lease up to `limit` of the tracks that have waited longest, those of active spaces first.

    long: how many of them may be longer than LONG_MS. others: something is being analysed
    already. What broke off before is only taken alone, lest it take others down with it.
    Returns the leased analyses by track; each track with all that is queued for `spaces`.
    """
    queued = TrackAnalysis.objects.filter(state=State.QUEUED, space__in=list(spaces))
    queued = queued.exclude(space__state=SpaceState.RETIRED)
    while True:
        chosen = _choose(queued, limit, long=long, others=others)
        if not chosen:
            return {}
        pks = queued.filter(track_id__in=chosen).values_list("pk", flat=True)
        taken = claim(TrackAnalysis, list(pks))
        if taken:
            by_track: dict[int, list[TrackAnalysis]] = defaultdict(list)
            rows = TrackAnalysis.objects.filter(pk__in=taken).select_related("track", "space")
            for row in rows.order_by("pk"):
                by_track[row.track_id].append(row)
            return dict(by_track)


def _choose(queued: QuerySet[TrackAnalysis], limit: int, *, long: int, others: bool) -> list[int]:
    """Keys of tracks, in order."""
    if not long:
        queued = queued.filter(track__duration_ms__lte=LONG_MS)
    # "active" comes before "building".
    ordered = queued.order_by("space__state", "id")
    candidates = list(ordered.values_list("track_id", "track__duration_ms")[:AHEAD])
    again = queued.filter(attempts__gt=0, track_id__in=[track_id for track_id, _ in candidates])
    broken = set(again.values_list("track_id", flat=True))
    chosen: list[int] = []
    for track_id, duration_ms in candidates:
        if track_id in chosen:
            continue
        if track_id in broken:
            if not chosen and not others:
                return [track_id]
            continue
        if duration_ms > LONG_MS:
            if not long:
                continue
            long -= 1
        chosen.append(track_id)
        if len(chosen) == limit:
            break
    return chosen


def tell_end(row: TrackAnalysis, state: State, reason: str = "") -> None:
    """Log what became of a leased analysis, how long after its lease, and who had asked for it."""
    took = timezone.now() - (row.heartbeat_at or timezone.now())
    fields = {
        "track": row.track_id,
        "space": row.space.name,
        "state": str(state),
        "seconds": round(took.total_seconds(), 2),
        "reason": reason,
    }
    line = "track %(track)s in %(space)s is %(state)s after %(seconds)s s"
    extra = {"request_id": row.request_id, "fields": fields}
    ended.info(f"{line}: %(reason)s" if reason else line, fields, extra=extra)


def set_aside(row: TrackAnalysis, reason: str) -> None:
    """Log an analysis that broke off too often."""
    tell_end(row, State.FAILED, reason)
