"""Finding: by a clip, or by a track already there."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.core.files.storage import default_storage
from django.db import DatabaseError, connection

from apps.analysis.queries import model_turn, query_slot
from apps.analysis.spaces import default_space
from apps.analysis.vector_index import get_index
from apps.analysis.vectors import VectorsMissing, load_vectors
from apps.catalog.id_map import TrackCard, cards_of
from apps.catalog.models import Listening, State, Track
from apps.catalog.selectors import hidden_collections, visible_tracks
from apps.search.explain import explain
from apps.search.results import Hit, SearchResult, SearchSettings, Took
from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.analyzers.registry import load_encoder
from audiosearch.engine.analyzers.windows import cut_windows
from audiosearch.engine.audio.decoding import SILENCE_PEAK
from audiosearch.engine.audio.sandbox import decode, inspect
from audiosearch.engine.errors import (
    AudioError,
    EngineError,
    IndexUnavailable,
    SilentAudio,
    SpaceMissing,
    TooLong,
    TooShort,
)
from audiosearch.engine.indexes.base import Filter, Match
from audiosearch.web.metrics import search_seconds

log = logging.getLogger(__name__)
MAX_QUERY_WINDOWS = 16


class NotListenedYet(AudioError):
    """The query track has no vectors yet."""

    code = "not_listened_yet"
    retryable = True


class FileGone(AudioError):
    """The query track's file is not in the storage any more."""

    code = "file_gone"


class InvalidStretch(AudioError):
    """start_ms and end_ms do not choose anything of this audio."""

    code = "invalid_stretch"


def search_by_clip(*, clip: Path, name: str, asked: SearchSettings, by: Any) -> SearchResult:
    """The nearest tracks to an audio file that `by` may know of, best first.

    Raises an AudioError when the clip cannot be used, Busy when every slot is taken, and
    IndexUnavailable when the index does not answer.
    """
    began = time.perf_counter()
    took = Took()
    with query_slot():
        space, encoder_name = _default_encoder()
        with _timed(took, "decode"):
            samples = _decode_query(clip, encoder_name, asked)
        with _timed(took, "encode"):
            queries = _encode_query(samples, encoder_name)
    query = {
        "clip": name,
        "duration_ms": len(samples) * 1000 // _rate(encoder_name),
        "space": space,
        **asked.as_json(),
    }
    where = asked.as_filter(hidden=hidden_collections(by))
    return _find(space, queries, asked, where, query, took, began, by)


def similar_to_track(*, track_id: int, asked: SearchSettings, by: Any) -> SearchResult:
    """The tracks nearest to a track of the catalogue, itself left out, best first.

    A whole track costs no model time: its vectors are read back. A stretch of it is encoded.
    Raises Track.DoesNotExist, also for one that `by` may not know of, NotListenedYet, Busy and
    IndexUnavailable.
    """
    began = time.perf_counter()
    took = Took()
    space, encoder_name = _default_encoder()
    hidden = hidden_collections(by)
    track = _card(track_id, by if hidden else None)
    if asked.start_ms is not None or asked.end_ms is not None:
        path = Path(default_storage.path(track.path))
        if not path.exists():
            raise FileGone(f"The file of “{track.title}” is gone from the storage.")
        with query_slot():
            with _timed(took, "decode"):
                samples = _decode_query(path, encoder_name, asked)
            with _timed(took, "encode"):
                queries = _encode_query(samples, encoder_name)
    else:
        with _timed(took, "decode"):
            queries = _kept_queries(space, track_id)
    query = {"track": track_id, "space": space, **asked.as_json()}
    where = asked.as_filter((track_id,), hidden)
    return _find(space, queries, asked, where, query, took, began, by)


def _card(track_id: int, by: Any) -> TrackCard:
    card = cards_of([track_id]).get(track_id)
    if card is None or (by and not visible_tracks(by).filter(pk=track_id).exists()):
        raise Track.DoesNotExist
    return card


def _find(
    space: str,
    queries: FloatArray,
    asked: SearchSettings,
    where: Filter,
    query: dict[str, object],
    took: Took,
    began: float,
    by: Any,
) -> SearchResult:
    with _timed(took, "index"):
        hits = _hits(_matches(space, queries, asked.top_k, where))
    if where.exclude_collection_ids:
        hits = _seen_hits(hits, by)
    explanation = None if hits else explain(space, asked, where, by)
    took.total = (time.perf_counter() - began) * 1000
    search_seconds.labels("total").observe(took.total / 1000)
    return SearchResult(query, hits, took, explanation)


def _matches(space: str, queries: FloatArray, top_k: int, where: Filter) -> list[Match]:
    try:
        return get_index().search(space, queries, top_k, where)
    except SpaceMissing as error:
        if Listening.objects.filter(space__name=space, state=State.READY).exists():
            raise IndexUnavailable(
                "The vector index lost its content; it is being built anew from the kept vectors."
            ) from error
        return []  # nothing has been listened to yet; the explanation says so


def _hits(matches: list[Match]) -> list[Hit]:
    """Matches whose track still exists, as hits."""
    cards = cards_of(match.track_id for match in matches)
    return [
        Hit(cards[match.track_id], match.distance, match.start_ms, match.end_ms)
        for match in matches
        if match.track_id in cards
    ]


def _seen_hits(hits: list[Hit], by: Any) -> list[Hit]:
    """Those that `by` may know of: index and id map lag behind what becomes private."""
    found = visible_tracks(by).filter(pk__in=[hit.track.id for hit in hits])
    seen = set(found.values_list("pk", flat=True))
    return [hit for hit in hits if hit.track.id in seen]


def _default_encoder() -> tuple[str, str]:
    """Name of the default space and of its encoder, which is the space's name less the version."""
    space = default_space()
    return space, space.rpartition("-v")[0]


def _rate(encoder_name: str) -> int:
    encoder = load_encoder(encoder_name, settings.MODELS_DIR, threads=settings.ENCODER_THREADS)
    return encoder.spec.sample_rate


def _decode_query(path: Path, encoder_name: str, asked: SearchSettings) -> FloatArray:
    start_ms, end_ms = asked.start_ms or 0, asked.end_ms
    limit_ms = settings.MAX_QUERY_DURATION_S * 1000
    info = inspect(path, max_duration_ms=settings.MAX_DURATION_S * 1000, thorough=False)
    end_ms = info.duration_ms if end_ms is None else min(end_ms, info.duration_ms)
    if start_ms >= end_ms:
        raise InvalidStretch(
            f"The stretch from {start_ms} to {end_ms} ms holds nothing: "
            f"the audio lasts {info.duration_ms} ms."
        )
    if end_ms - start_ms > limit_ms:
        raise TooLong(f"A query may last {limit_ms // 1000} s; choose a stretch of it.")
    samples = decode(path, _rate(encoder_name), start_ms=start_ms, end_ms=end_ms)
    if len(samples) * 10 < _rate(encoder_name):
        raise TooShort("The stretch is too short; at least 100 ms are needed.")
    if float(np.abs(samples).max()) <= SILENCE_PEAK:
        raise SilentAudio("The stretch is silent; choose another.")
    return samples


def _encode_query(samples: FloatArray, encoder_name: str) -> FloatArray:
    encoder = load_encoder(encoder_name, settings.MODELS_DIR, threads=settings.ENCODER_THREADS)
    spec = encoder.spec
    per_ms = spec.sample_rate / 1000
    windows = cut_windows([samples], int(spec.window_ms * per_ms), int(spec.hop_ms * per_ms))
    cut = [window.samples for window in windows]
    chosen = _spread(len(cut))
    with model_turn():
        return encoder.encode(np.stack([cut[i] for i in chosen])).embeddings


def _kept_queries(space: str, track_id: int) -> FloatArray:
    try:
        embeddings = load_vectors(space, track_id).embeddings
    except VectorsMissing as error:
        track = Track.objects.get(pk=track_id)
        raise NotListenedYet(_why_not_listened(track, space)) from error
    return embeddings[_spread(len(embeddings))]


def _why_not_listened(track: Track, space: str) -> str:
    listening = Listening.objects.filter(track=track, space__name=space).first()
    if listening and listening.state == State.FAILED:
        return f"“{track.title}” could not be listened to: {listening.reason}"
    return f"“{track.title}” has not been listened to yet; try again in a moment."


def _spread(count: int) -> list[int]:
    """At most MAX_QUERY_WINDOWS indices spread evenly over `count` windows."""
    return sorted(
        set(np.linspace(0, count - 1, min(count, MAX_QUERY_WINDOWS)).astype(int).tolist())
    )


def warm_up() -> None:
    """Run the default encoder and ask the index once, before the first search needs them."""
    try:
        space, encoder_name = _default_encoder()
        noise = np.random.default_rng(0).normal(0, 0.1, _rate(encoder_name)).astype(np.float32)
        _matches(space, _encode_query(noise, encoder_name), 1, Filter())
    except (EngineError, DatabaseError) as error:
        log.warning("not warmed up: %s", error)
    finally:
        connection.close()


@contextmanager
def _timed(took: Took, stage: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - began
        setattr(took, stage, seconds * 1000)
        search_seconds.labels(stage).observe(seconds)
