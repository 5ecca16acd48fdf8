"""Finding: by a clip, or by a track already there."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from django.db import DatabaseError, connection

from apps.analysis.index import get_index
from apps.analysis.models import TrackAnalysis
from apps.analysis.spaces import active_name
from apps.analysis.turns import query_slot
from apps.catalog.id_map import TrackCard, cards_of
from apps.catalog.models import Track
from apps.catalog.recordings import sound_of
from apps.catalog.selectors import hidden_collections, visible_tracks
from apps.jobs.models import State
from apps.search.explain import explain
from apps.search.queries import active_encoder, decode_query, embed_query, kept_query
from apps.search.results import Hit, SearchResult, SearchSettings, Took
from audiosearch.engine.analyzers.base import Embeddings
from audiosearch.engine.errors import AudioError, EngineError, IndexUnavailable, SpaceMissing
from audiosearch.engine.indexes.base import Match
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.matchers.registry import load_matcher
from audiosearch.web.metrics import search_seconds

log = logging.getLogger(__name__)
SOUNDS_ALIKE = load_matcher("sounds_alike")


class FileGone(AudioError):
    """The query track's file is not in the storage any more."""

    code = "file_gone"


@dataclass
class _Asked:
    """A search on its way: who asks for what, and the time it takes."""

    settings: SearchSettings
    by: Any
    took: Took = field(default_factory=Took)
    began: float = field(default_factory=time.perf_counter)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            setattr(self.took, stage, seconds * 1000)
            search_seconds.labels(stage).observe(seconds)


def search_by_clip(*, clip: Path, name: str, asked: SearchSettings, by: Any) -> SearchResult:
    """The nearest tracks to an audio file that `by` may know of, best first.

    Raises an AudioError when the clip cannot be used, Busy when every slot is taken, and
    IndexUnavailable when the index does not answer.
    """
    search = _Asked(asked, by)
    space, query, duration_ms = _embed(search, clip)
    told = {"clip": name, "duration_ms": duration_ms, "space": space, **asked.as_json()}
    return _find(search, space, query, asked.as_filter(hidden=hidden_collections(by)), told)


def similar_to_track(*, track_id: int, asked: SearchSettings, by: Any) -> SearchResult:
    """The tracks nearest to a track of the catalogue, itself left out, best first.

    A whole track costs no model time: its vectors are read back. A stretch of it is embedded.
    Raises Track.DoesNotExist, also for one that `by` may not know of, NotListenedYet, Busy and
    IndexUnavailable.
    """
    search = _Asked(asked, by)
    hidden = hidden_collections(by)
    track = _card(track_id, by if hidden else None)
    if asked.start_ms is not None or asked.end_ms is not None:
        path = sound_of(track.path, track.stream)
        if not path.exists():
            raise FileGone(f"The file of “{track.title}” is gone from the storage.")
        space, query, _ = _embed(search, path)
    else:
        space = active_name(SOUNDS_ALIKE.spec.kind)
        with search.timed("decode"):
            query = kept_query(space, track_id)
    told = {"track": track_id, "space": space, **asked.as_json()}
    return _find(search, space, query, asked.as_filter((track_id,), hidden), told)


def _embed(search: _Asked, path: Path) -> tuple[str, Embeddings, int]:
    """The active space, what its encoder makes of the stretch asked for, and its length in ms."""
    space, encoder = active_encoder()
    rate = encoder.spec.sample_rate
    with query_slot():
        with search.timed("decode"):
            samples = decode_query(path, rate, search.settings)
        with search.timed("encode"):
            query = embed_query(samples, encoder)
    return space, query, len(samples) * 1000 // rate


def _card(track_id: int, by: Any) -> TrackCard:
    card = cards_of([track_id]).get(track_id)
    if card is None or (by and not visible_tracks(by).filter(pk=track_id).exists()):
        raise Track.DoesNotExist
    return card


def _find(
    search: _Asked, space: str, query: Embeddings, where: TrackFilter, told: dict[str, object]
) -> SearchResult:
    with search.timed("index"):
        hits = _hits(_matches(space, query, search.settings.top_k, where))
    if where.exclude_collection_ids:
        hits = _seen_hits(hits, search.by)
    explanation = None if hits else explain(space, search.settings, where, search.by)
    seconds = time.perf_counter() - search.began
    search.took.total = seconds * 1000
    search_seconds.labels("total").observe(seconds)
    return SearchResult(told, hits, search.took, explanation)


def _matches(space: str, query: Embeddings, top_k: int, where: TrackFilter) -> list[Match]:
    try:
        return SOUNDS_ALIKE.match(query, get_index(), space, top_k=top_k, where=where)
    except SpaceMissing as error:
        if TrackAnalysis.objects.filter(space__name=space, state=State.READY).exists():
            raise IndexUnavailable(
                "The vector index lost its content; it is being built anew from the kept vectors."
            ) from error
        return []  # nothing has been analysed yet; the explanation says so


def _hits(matches: list[Match]) -> list[Hit]:
    """Matches whose track still exists, as hits."""
    cards = cards_of(match.item_id for match in matches)
    return [
        Hit(cards[match.item_id], match.distance, match.start_ms, match.end_ms)
        for match in matches
        if match.item_id in cards
    ]


def _seen_hits(hits: list[Hit], by: Any) -> list[Hit]:
    """Those that `by` may know of: index and id map lag behind what becomes private."""
    found = visible_tracks(by).filter(pk__in=[hit.track.id for hit in hits])
    seen = set(found.values_list("pk", flat=True))
    return [hit for hit in hits if hit.track.id in seen]


def warm_up() -> None:
    """Run the active encoder and ask the index once, before the first search needs them."""
    try:
        space, encoder = active_encoder()
        rate = encoder.spec.sample_rate
        noise = np.random.default_rng(0).normal(0, 0.1, rate).astype(np.float32)
        _matches(space, embed_query(noise, encoder), 1, TrackFilter())
    except (EngineError, DatabaseError) as error:
        log.warning("not warmed up: %s", error)
    finally:
        connection.close()
