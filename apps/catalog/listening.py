"""Listening: claim a queued track, hear it window by window, keep and index its vectors."""

import logging
import os
import socket
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
from django.conf import settings
from django.core.files.storage import default_storage
from django.db.models import F
from django.utils import timezone

from apps.catalog import id_map
from apps.catalog.models import Listening, SpaceState, State, Track
from apps.catalog.spaces import spec_of, switch_when_complete
from apps.catalog.vector_index import get_index, index_fields
from apps.catalog.vectors import (
    Vectors,
    VectorsMissing,
    delete_vectors,
    load_vectors,
    save_vectors,
)
from audiosearch.engine.audio import stream
from audiosearch.engine.encoders import load_encoder
from audiosearch.engine.encoders.base import Encoder, FloatArray
from audiosearch.engine.errors import (
    AudioError,
    CorruptAudio,
    IndexUnavailable,
    ModelUnavailable,
    SpaceMissing,
)
from audiosearch.engine.index import TrackWindows
from audiosearch.engine.windows import PeakMeter, Window, cut_windows

log = logging.getLogger(__name__)
BATCH_WINDOWS = 8
HEARTBEAT_S = 5
MAX_ATTEMPTS = 3
MIN_TAG_PROBABILITY = 0.1
MAX_AUTO_TAGS = 10


def worker_name() -> str:
    """This process, as it signs its claims: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def work(limit: int | None = None) -> int:
    """Listen until nothing is queued (or `limit` tracks are done); returns how many were heard.

    Stops early, with the work released, when the index or a model is away.
    """
    heard = 0
    while limit is None or heard < limit:
        listening = claim()
        if listening is None:
            break
        try:
            _listen(listening)
        except (IndexUnavailable, ModelUnavailable) as error:
            _release(listening, str(error))
            log.warning("listening pauses: %s", error)
            return heard
        heard += 1
    switch_when_complete()
    return heard


def claim() -> Listening | None:
    """Take the oldest queued work of the default space first; None when there is none."""
    queued = Listening.objects.filter(state=State.QUEUED).exclude(space__state=SpaceState.RETIRED)
    while True:
        ids = queued.order_by("-space__is_default", "id").values_list("pk", flat=True)[:16]
        if not ids:
            return None
        for pk in ids:
            taken = Listening.objects.filter(pk=pk, state=State.QUEUED).update(
                state=State.LISTENING,
                claimed_by=worker_name(),
                heartbeat_at=timezone.now(),
                attempts=F("attempts") + 1,
                reason="",
            )
            if taken == 1:
                return Listening.objects.select_related("track", "space").get(pk=pk)


def _listen(listening: Listening) -> None:
    space, track = listening.space.name, listening.track
    try:
        vectors = load_vectors(space, track.pk)
    except VectorsMissing:
        try:
            vectors = _hear(listening)
        except AudioError as error:
            _fail(listening, str(error))
            return
        except FileNotFoundError:
            _fail(listening, "The file of this track is gone from the storage.")
            return
    if _index(listening, vectors):
        _finish(listening, vectors)
    else:  # it was deleted while we listened
        delete_vectors(space, track.pk)


def _finish(listening: Listening, vectors: Vectors) -> None:
    space, track_id = listening.space.name, listening.track_id
    done = _mine(listening).update(
        state=State.READY,
        windows=len(vectors.embeddings),
        attempts=0,
        claimed_by="",
        finished_at=timezone.now(),
    )
    id_map.forget([track_id])
    if not done and not Track.objects.filter(pk=track_id).exists():
        get_index().delete_tracks(space, [track_id])
        delete_vectors(space, track_id)


def _hear(listening: Listening) -> Vectors:
    """Decode once; encode the windows in batches; keep vectors, peaks and auto-tags."""
    track, spec = listening.track, spec_of(listening.space)
    encoder = load_encoder(spec.name, settings.MODELS_DIR, threads=settings.ENCODER_THREADS)
    meter = PeakMeter(track.duration_ms * spec.sample_rate // 1000)
    blocks = meter.pass_through(
        stream(Path(default_storage.path(str(track.file.name))), spec.sample_rate)
    )
    windows = cut_windows(
        blocks,
        spec.window_ms * spec.sample_rate // 1000,
        spec.hop_ms * spec.sample_rate // 1000,
    )
    embeddings, spans, likeliest = _encode_all(encoder, _beating(listening, windows))
    if not len(spans):
        raise CorruptAudio("The file is damaged: no sound could be decoded from it.")
    vectors = Vectors(np.concatenate(embeddings), np.array(spans, np.int64))
    save_vectors(listening.space.name, track.pk, vectors)
    learnt: dict[str, object] = {"peaks": meter.peaks()}
    if encoder.tag_names:
        learnt["auto_tags"] = auto_tags(encoder.tag_names, likeliest)
    Track.objects.filter(pk=track.pk).update(**learnt)
    return vectors


def _encode_all(
    encoder: Encoder, windows: Iterable[Window]
) -> tuple[list[FloatArray], list[tuple[int, int]], FloatArray]:
    """Embeddings, spans in ms, and the highest probability of each tag over all windows."""
    rate = encoder.spec.sample_rate
    embeddings: list[FloatArray] = []
    spans: list[tuple[int, int]] = []
    likeliest = np.zeros(len(encoder.tag_names), np.float32)
    for batch in _batches(windows):
        encoded = encoder.encode(np.stack([window.samples for window in batch]))
        embeddings.append(encoded.embeddings)
        if encoded.tag_probabilities is not None:
            likeliest = np.maximum(likeliest, encoded.tag_probabilities.max(axis=0))
        for window in batch:
            end = window.start + len(window.samples)
            spans.append((window.start * 1000 // rate, end * 1000 // rate))
    return embeddings, spans, likeliest


def _batches(windows: Iterable[Window]) -> Iterator[list[Window]]:
    """Up to BATCH_WINDOWS neighbouring windows of one length."""
    for _, alike in groupby(windows, key=lambda window: len(window.samples)):
        batch: list[Window] = []
        for window in alike:
            batch.append(window)
            if len(batch) == BATCH_WINDOWS:
                yield batch
                batch = []
        if batch:
            yield batch


def _beating(listening: Listening, windows: Iterable[Window]) -> Iterator[Window]:
    """Pass windows through, telling every few seconds that this worker is alive."""
    last = timezone.now()
    for window in windows:
        now = timezone.now()
        if (now - last).total_seconds() > HEARTBEAT_S:
            _mine(listening).update(heartbeat_at=now)
            last = now
        yield window


def auto_tags(names: tuple[str, ...], probabilities: FloatArray) -> list[dict[str, object]]:
    """The likeliest tags, as the track keeps them."""
    order = np.argsort(-probabilities)[:MAX_AUTO_TAGS]
    return [
        {"name": names[i], "probability": round(float(probabilities[i]), 3)}
        for i in order
        if probabilities[i] >= MIN_TAG_PROBABILITY
    ]


def _index(listening: Listening, vectors: Vectors) -> bool:
    """Write the windows, with the track's fields as they are now; False when it is gone."""
    index, space = get_index(), listening.space
    track = Track.objects.filter(pk=listening.track_id).first()
    if track is None:
        return False
    windows = TrackWindows(
        index_fields(track),
        vectors.embeddings,
        [(int(start), int(end)) for start, end in vectors.spans],
    )
    try:
        if listening.windows > len(vectors.embeddings):
            index.delete_tracks(space.name, [track.pk])
        index.upsert(space.name, [windows])
    except SpaceMissing:
        index.create_space(space.name, space.dimension)
        index.upsert(space.name, [windows])
    return True


def _mine(listening: Listening):  # type: ignore[no-untyped-def]
    return Listening.objects.filter(
        pk=listening.pk, state=State.LISTENING, claimed_by=worker_name()
    )


def _fail(listening: Listening, reason: str) -> None:
    log.info("track %s failed: %s", listening.track_id, reason)
    _mine(listening).update(
        state=State.FAILED, reason=reason[:500], claimed_by="", finished_at=timezone.now()
    )


def _release(listening: Listening, reason: str) -> None:
    _mine(listening).update(
        state=State.QUEUED, reason=reason[:500], claimed_by="", attempts=F("attempts") - 1
    )
