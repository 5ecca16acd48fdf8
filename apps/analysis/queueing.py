"""Which analyses are asked for: of new tracks, and again of those that are there."""

from collections.abc import Collection

from django.db import transaction
from django.db.models import QuerySet

from apps.analysis.models import Space, SpaceState, TrackAnalysis
from apps.analysis.representations import forget_kept
from apps.analysis.spaces import ensure_spaces, spaces_to_fill
from apps.jobs.models import State
from apps.jobs.pieces import in_pieces
from apps.jobs.queue import ANALYSE, enqueue
from audiosearch.web.request_ids import current_request_id


def queue_tracks(track_ids: Collection[int], *, wake: bool = True) -> None:
    """Ask for all analyses of new tracks, in the transaction that adds them."""
    ensure_spaces()
    asked, spaces = current_request_id(), spaces_to_fill()
    TrackAnalysis.objects.bulk_create(
        [
            TrackAnalysis(track_id=track_id, space=space, request_id=asked)
            for track_id in track_ids
            for space in spaces
        ],
        # A space that was just made has queued every track already, these too.
        update_conflicts=True,
        unique_fields=["track", "space"],
        update_fields=["request_id"],
    )
    if wake:
        transaction.on_commit(lambda: enqueue(ANALYSE))


def reanalyze(track_ids: Collection[int], *, space: Space | None = None) -> int:
    """Queue tracks to be analysed again from their files (for one space only, if given).

    Returns how many tracks are queued; what is being analysed is passed over. What the index
    holds of them stays there until it is replaced.
    """
    rows = TrackAnalysis.objects.exclude(state=State.RUNNING)
    rows = rows.exclude(space__state=SpaceState.RETIRED)
    if space is not None:
        rows = rows.filter(space=space)
    queued = sum(_queue_again(rows.filter(track_id__in=piece)) for piece in in_pieces(track_ids))
    transaction.on_commit(lambda: enqueue(ANALYSE))
    return queued


def _queue_again(rows: QuerySet[TrackAnalysis]) -> int:
    chosen = list(rows.values_list("pk", "track_id", "space__name"))
    # Before they are queued, lest a worker take what was kept for the new analysis.
    for _, track_id, name in chosen:
        forget_kept(name, track_id)
    again = TrackAnalysis.objects.filter(pk__in=[pk for pk, _, _ in chosen])
    again.exclude(state=State.RUNNING).update(
        state=State.QUEUED,
        reason="",
        attempts=0,
        leased_by="",
        request_id=current_request_id(),
    )
    return len({track_id for _, track_id, _ in chosen})
