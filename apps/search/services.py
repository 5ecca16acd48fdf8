"""Finding: by a clip, or by a track already there."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.db import DatabaseError, connection
from numpy.typing import NDArray

from apps.analysis.clips import Sound
from apps.analysis.index import get_index
from apps.analysis.models import TrackAnalysis
from apps.analysis.spaces import active_name
from apps.analysis.turns import query_slot
from apps.catalog.id_map import cards_of
from apps.catalog.selectors import visible_tracks
from apps.jobs.models import State
from apps.search.explain import explain
from apps.search.queries import (
    SearchQuestion,
    active_encoder,
    embed_query,
    kept_query,
    track_question,
)
from apps.search.results import Hit, SearchResult, SearchSettings, Took
from audiosearch.engine.analyzers.base import Embeddings
from audiosearch.engine.errors import EngineError, IndexUnavailable, SpaceMissing
from audiosearch.engine.indexes.base import Match
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.matchers.registry import load_matcher
from audiosearch.web.metrics import search_seconds

log = logging.getLogger(__name__)
SOUNDS_ALIKE = load_matcher("sounds_alike")


@dataclass
class _Timed:
    """The time that a search takes."""

    took: Took = field(default_factory=Took)
    began: float = field(default_factory=time.perf_counter)

    @contextmanager
    def stage(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            setattr(self.took, stage, seconds * 1000)
            search_seconds.labels(stage).observe(seconds)

    def end(self) -> Took:
        seconds = time.perf_counter() - self.began
        self.took.total = seconds * 1000
        search_seconds.labels("total").observe(seconds)
        return self.took


def similar_to_track(*, track_id: int, asked: SearchSettings, by: Any) -> SearchResult:
    """The tracks nearest to a track of the catalogue, itself left out, best first.

    A whole track costs no model time: its vectors are read back. A stretch of it is embedded.
    Raises Track.DoesNotExist, also for one that `by` may not know of, NotListenedYet, FileGone,
    Busy and IndexUnavailable.
    """
    rates = [] if asked.is_whole else [alike_rate()]
    return find_alike(track_question(track_id, rates, asked, by))


def alike_rate() -> int:
    """Of the samples that the active encoder takes, in Hz. Raises ModelUnavailable."""
    return active_encoder()[1].spec.sample_rate


def find_alike(asked: SearchQuestion) -> SearchResult:
    """The tracks nearest to what is asked with, that who asks may know of, best first.

    Raises an AudioError when a clip cannot be used, Busy when every slot is taken, NotListenedYet
    of a track without vectors, and IndexUnavailable when the index does not answer.
    """
    timed, told = _Timed(), asked.told
    if asked.is_whole_track:
        assert asked.track_id is not None  # noqa: S101 - for the type checker
        space = active_name(SOUNDS_ALIKE.spec.kind)
        with timed.stage("decode"):
            query = kept_query(space, asked.track_id, Embeddings)
    else:
        space, query = _embed(timed, asked.sound)
    if asked.track_id is None:
        told = {**told, "duration_ms": asked.sound.duration_ms}
    with timed.stage("index"):
        matches = _matches(space, query, asked.top_k, asked.where)
        hits = _hits(matches, query.spans + asked.sound.start_ms)
    if asked.where.exclude_collection_ids:
        hits = _seen_hits(hits, asked.by)
    explanation = None if hits else explain(space, asked.settings, asked.where, asked.by)
    told = {**told, "space": space, **asked.settings.as_json()}
    return SearchResult(told, hits, timed.end(), explanation)


def _embed(timed: _Timed, sound: Sound) -> tuple[str, Embeddings]:
    """The active space, and what its encoder makes of a sound."""
    space, encoder = active_encoder()
    with query_slot():
        with timed.stage("decode"):
            samples = sound.samples(encoder.spec.sample_rate)
        with timed.stage("encode"):
            query = embed_query(samples, encoder)
    return space, query


def _matches(space: str, query: Embeddings, top_k: int, where: TrackFilter) -> list[Match]:
    try:
        return SOUNDS_ALIKE.match(query, get_index(), space, top_k=top_k, where=where)
    except SpaceMissing as error:
        if TrackAnalysis.objects.filter(space__name=space, state=State.READY).exists():
            raise IndexUnavailable(
                "The vector index lost its content; it is being built anew from the kept vectors."
            ) from error
        return []  # nothing has been analysed yet; the explanation says so


def _hits(matches: list[Match], spans: NDArray[np.int64]) -> list[Hit]:
    """Matches whose track still exists, as hits; spans: (n, 2) ms of the windows asked with."""
    cards = cards_of(match.item_id for match in matches)
    return [
        Hit(
            cards[match.item_id],
            match.distance,
            match.start_ms,
            match.end_ms,
            *spans[match.query_window].tolist(),
        )
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
    from apps.search import same_tune
    from audiosearch.engine.matchers import same_recording  # compiles, and loads SciPy

    same_recording.warm_up()
    try:
        space, encoder = active_encoder()
        rate = encoder.spec.sample_rate
        noise = np.random.default_rng(0).normal(0, 0.1, rate).astype(np.float32)
        _matches(space, embed_query(noise, encoder), 1, TrackFilter())
        same_tune.warm_up()
    except (EngineError, DatabaseError) as error:
        log.warning("not warmed up: %s", error)
    finally:
        connection.close()
