"""Writing what was found in recordings: to the database, the storage and the index, in bulk."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.db import transaction

from apps.analysis.holdings import HOLDINGS
from apps.analysis.index import index_entry, indexed_size
from apps.analysis.leasing import tell_end
from apps.analysis.models import Space, SpaceKind, TrackAnalysis
from apps.analysis.removing import take_out
from apps.analysis.representations import forget_kept, keep
from apps.analysis.space_indexes import index_of
from apps.catalog import id_map
from apps.catalog.models import Track
from apps.jobs.leases import mine, settle
from apps.jobs.models import State
from apps.jobs.queue import DUPLICATES, enqueue
from audiosearch.engine.analyzers.base import Embeddings, FloatArray, Representation, Waveform
from audiosearch.engine.digests import with_digest
from audiosearch.engine.errors import IndexUnavailable, SpaceMissing
from audiosearch.engine.indexes.payloads import TrackPayload

MIN_TAG_PROBABILITY = 0.1
MAX_AUTO_TAGS = 10


@dataclass(frozen=True)
class Finished:
    """An analysis that is done, and what came of it; `kept`: it was a file before."""

    row: TrackAnalysis
    found: Representation
    kept: bool = False


@dataclass
class Bulk:
    """What goes to the storage and the index for one space.

    first: nothing of the space is ready, so that it need not be in the index yet.
    """

    space: Space
    first: bool
    unkept: list[tuple[int, Representation]] = field(default_factory=list)
    entries: list[Any] = field(default_factory=list)
    shrunk: list[int] = field(default_factory=list)


def prepare(finished: Sequence[Finished]) -> list[Bulk]:
    """By space, with the tracks' fields as they are now; without tracks deleted meanwhile.

    What goes to columns of the track is written here: once vectors are kept, the recording is not
    analysed again. Nothing is written of what this worker holds no longer, as it was stopped for
    so long that another took over.
    """
    held = set(mine(each.row for each in finished).values_list("pk", flat=True))
    finished = [each for each in finished if each.row.pk in held]
    with transaction.atomic():
        for each in finished:
            columns = _columns_of(each)
            if columns:
                Track.objects.filter(pk=each.row.track_id).update(**columns)
    by_space: dict[Space, list[Finished]] = defaultdict(list)
    for each in finished:
        if each.found.kept:
            by_space[each.row.space].append(each)
    return [_bulk(space, group) for space, group in by_space.items()]


def _columns_of(each: Finished) -> dict[str, object]:
    if isinstance(each.found, Waveform):
        return {"peaks": with_digest(each.found.peaks)}
    if isinstance(each.found, Embeddings) and each.found.tag_names and not each.kept:
        return {"auto_tags": auto_tags(each.found.tag_names, each.found.tag_probabilities)}
    return {}


def _bulk(space: Space, group: list[Finished]) -> Bulk:
    ids = [each.row.track_id for each in group]
    tracks = Track.objects.prefetch_related("tags").in_bulk(ids)
    first = not space.analyses.filter(state=State.READY, track__retired_at=None).exists()
    bulk = Bulk(space, first)
    for each in group:
        track = tracks.get(each.row.track_id)
        if track is None:
            continue
        if not each.kept:
            bulk.unkept.append((track.pk, each.found))
        if track.retired_at is None and (entry := index_entry(track, each.found)) is not None:
            bulk.entries.append(entry)
            if each.row.windows > indexed_size(each.found):
                bulk.shrunk.append(track.pk)
    return bulk


def write(bulks: Iterable[Bulk]) -> None:
    """Write to the storage, then to the index; in a thread, without the database.

    Raises IndexUnavailable, and OSError when the storage cannot be written.
    """
    for bulk in bulks:
        index = index_of(bulk.space)
        for track_id, found in bulk.unkept:
            keep(bulk.space.name, track_id, found)
        if not bulk.entries:
            continue
        try:
            if bulk.shrunk:
                index.delete(bulk.shrunk)
            index.upsert(bulk.entries)
        except SpaceMissing as error:
            if not bulk.first:  # made here, it would hold this bulk only, and not be missed again
                raise IndexUnavailable("The index lost its content.") from error
            index.create(TrackPayload.layout)
            index.upsert(bulk.entries)


def finish(finished: Sequence[Finished]) -> None:
    """Mark what is written as ready; take out again what was deleted meanwhile."""
    with transaction.atomic():
        done = [
            each.row
            for each in finished
            if settle(each.row, State.READY, windows=indexed_size(each.found))
        ]
    for row in done:
        tell_end(row, State.READY)
    if any(row.space.kind == SpaceKind.LANDMARKS for row in done):
        enqueue(DUPLICATES)
    ids = {each.row.track_id for each in finished}
    id_map.forget(ids)
    alive = set(Track.objects.filter(pk__in=ids).values_list("pk", flat=True))
    for each in finished:
        if each.row.track_id not in alive:
            _forget(each)


def _forget(each: Finished) -> None:
    space, track_id = each.row.space, each.row.track_id
    if space.kind in HOLDINGS:
        take_out(space, [track_id])
    forget_kept(space.name, track_id)


def auto_tags(names: tuple[str, ...], probabilities: FloatArray) -> list[dict[str, object]]:
    """The likeliest tags, as the track keeps them."""
    order = np.argsort(-probabilities)[:MAX_AUTO_TAGS]
    return [
        {"name": names[i], "probability": round(float(probabilities[i]), 3)}
        for i in order
        if probabilities[i] >= MIN_TAG_PROBABILITY
    ]
