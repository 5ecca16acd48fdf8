"""What the index should hold of a space, by kind: one class and one line for each.

Rebuilding, syncing and reconciling ask these classes, and so are the same for every kind.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from importlib import import_module
from typing import Any, ClassVar

from django.db.models import QuerySet

from apps.analysis.index import index_entry
from apps.analysis.models import (
    Indexed,
    Space,
    SpaceKind,
    SpaceState,
    TrackAnalysis,
    mark_stale,
)
from apps.analysis.queueing import reanalyze
from apps.analysis.representations import NotKept, load_kept
from apps.catalog.models import Track
from apps.jobs.models import State
from audiosearch.engine.analyzers.base import Embeddings, Representation
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.indexes.payloads import Layout, TrackPayload
from audiosearch.engine.tunes.representation import Tune

HOLDINGS = {
    SpaceKind.EMBEDDING: "apps.analysis.holdings.TrackHoldings",
    SpaceKind.LANDMARKS: "apps.analysis.holdings.LandmarkHoldings",
    SpaceKind.MELODY: "apps.analysis.holdings.MelodyHoldings",
    SpaceKind.SPEAKER: "apps.voices.holdings.EnrolmentHoldings",
}


class Holdings(ABC):
    """The rows of a space that are in the index, each an item with vectors or landmarks."""

    layout: ClassVar[Layout]
    item: ClassVar[str]
    """Field of a row that is the item's id in the index."""
    rewritten_per_s: ClassVar[int] = 50
    """A rewrite waits a second for each so many; the index writes them in a twentieth of that."""

    @abstractmethod
    def rows(self, space: Space) -> QuerySet[Any]:
        """The rows (of an Indexed model) that the index should hold now."""

    def retired(self, space: Space) -> QuerySet[Any] | None:
        """Rows that the index should hold no longer, as another copy stands for their track."""
        return None

    @abstractmethod
    def entries(self, space: Space, rows: Iterable[Any]) -> Iterator[Any]:
        """What the index holds of these rows; those whose vectors are gone are left out."""

    @abstractmethod
    def counts(self, space: Space) -> dict[int, int]:
        """How many vectors or landmarks the index should hold of each item."""

    def unsettled(self, space: Space) -> set[int]:
        """Items that somebody works on, of which the index may hold anything or nothing."""
        return set()

    def only_here(self, space: Space) -> int:
        """How many items of a space would be lost with it, as nothing makes them anew."""
        return 0

    def damaged(self, space: Space, track_ids: Collection[int]) -> Iterator[int]:
        """Items of these tracks whose vectors are not those that were kept, and no files."""
        yield from ()

    @abstractmethod
    def make_again(self, space: Space, item_ids: Collection[int]) -> None:
        """Let the vectors of these items be made anew from their recordings."""

    def send_again(self, space: Space, item_ids: Collection[int]) -> None:
        """Let the index have these items anew."""
        mark_stale(self.rows(space).filter(**{f"{self.item}__in": item_ids}))

    def known(self, space: Space, item_ids: Collection[int]) -> set[int]:
        """Those of these items that still exist."""
        rows = self.rows(space).filter(**{f"{self.item}__in": item_ids})
        return set(rows.values_list(self.item, flat=True))

    def prefetched(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The same rows with all that `entries` reads, in a fixed number of queries."""
        return rows

    def model(self, space: Space) -> type[Indexed]:
        found: type[Indexed] = self.rows(space).model
        return found


class TrackHoldings(Holdings):
    """Embeddings of tracks: the windows of those that are ready."""

    layout = TrackPayload.layout
    item = "track_id"
    representation: ClassVar[type[Representation]] = Embeddings

    def rows(self, space: Space) -> QuerySet[TrackAnalysis]:
        return space.analyses.filter(state=State.READY, track__retired_at=None)

    def retired(self, space: Space) -> QuerySet[TrackAnalysis]:
        return space.analyses.filter(state=State.READY, track__retired_at__isnull=False)

    def prefetched(self, rows: QuerySet[TrackAnalysis]) -> QuerySet[TrackAnalysis]:
        return rows.select_related("track").prefetch_related("track__tags")

    def entries(self, space: Space, rows: Iterable[TrackAnalysis]) -> Iterator[Any]:
        for row in rows:
            try:
                found = load_kept(space.name, row.track_id, self.representation)
            except NotKept:
                self.make_again(space, [row.track_id])
                continue
            entry = index_entry(row.track, found)
            if entry is not None:
                yield entry

    def counts(self, space: Space) -> dict[int, int]:
        return dict(self.rows(space).values_list("track_id", "windows"))

    def unsettled(self, space: Space) -> set[int]:
        pending = space.analyses.exclude(state=State.READY)
        return set(pending.values_list("track_id", flat=True))

    def known(self, space: Space, item_ids: Collection[int]) -> set[int]:
        there = Track.objects.filter(pk__in=item_ids, retired_at=None)
        return set(there.values_list("pk", flat=True))

    def make_again(self, space: Space, item_ids: Collection[int]) -> None:
        reanalyze(item_ids, space=space)

    def send_again(self, space: Space, item_ids: Collection[int]) -> None:
        """By the worker, which reads the kept vectors."""
        ready = self.rows(space).filter(track_id__in=item_ids)
        ready.update(state=State.QUEUED)


class LandmarkHoldings(TrackHoldings):
    """The landmarks of tracks that are ready."""

    representation = Landmarks
    rewritten_per_s = 5_000


class MelodyHoldings(TrackHoldings):
    """The windows of tunes, as vectors; what has no melody has none."""

    representation = Tune


def track_spaces() -> QuerySet[Space]:
    """The spaces in use whose items are tracks, whatever their kind."""
    spaces = Space.objects.filter(kind__in=HOLDINGS).exclude(kind=SpaceKind.SPEAKER)
    return spaces.exclude(state=SpaceState.RETIRED)


def holdings_of(space: Space) -> Holdings | None:
    """What says what the index holds of a space; None when it is in no index."""
    if space.kind not in HOLDINGS:
        return None
    module, _, name = HOLDINGS[space.kind].rpartition(".")
    found: type[Holdings] = getattr(import_module(module), name)
    return found()
