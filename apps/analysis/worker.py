"""Listening: claim queued tracks, hear several at once, keep and index their vectors."""

import logging
import os
import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from apps.analysis.claims import LONG_MS, claim, fail, mine, release, release_left, tell_end
from apps.analysis.spaces import switch_when_complete
from apps.analysis.vector_index import get_index, index_fields
from apps.analysis.vectors import (
    Vectors,
    VectorsMissing,
    delete_vectors,
    load_vectors,
    save_vectors,
)
from apps.catalog import id_map
from apps.catalog.models import Listening, Space, State, Track
from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.analyzers.pipeline import Failed, Heard, Pipeline, Recording
from audiosearch.engine.analyzers.registry import load_encoder
from audiosearch.engine.errors import (
    AudioError,
    Busy,
    IndexUnavailable,
    ModelUnavailable,
    SpaceMissing,
)
from audiosearch.engine.indexes.base import Entry
from audiosearch.engine.indexes.payloads import TrackPayload

log = logging.getLogger(__name__)
STREAMS = 4
"""Recordings decoded at once by one worker."""
CLAIMED = 2 * STREAMS
"""Recordings that one worker holds, so that it need not ask for each."""
LONG_STREAMS = 2
"""Of which longer than LONG_MS, so that short ones need not wait for the end of long ones."""
HEARTBEAT_S = 5
BULK_S = 1.0
"""Not more often is the index written while there is more to hear."""
MIN_TAG_PROBABILITY = 0.1
MAX_AUTO_TAGS = 10


def work(seconds: float | None = None) -> int:
    """Listen until nothing is queued, or begin nothing after `seconds`; returns how many tracks.

    Stops early, with the work released, when the index, a model or the storage is away.
    """
    release_left()
    workers = settings.ENCODER_THREADS or len(os.sched_getaffinity(0))
    with Pipeline(STREAMS, workers) as pipeline, ThreadPoolExecutor(1, "index") as writer:
        turn = _Turn(pipeline, writer)
        try:
            turn.run(seconds)
        except (IndexUnavailable, ModelUnavailable, Busy, OSError) as error:
            release(turn.claimed(), str(error))
            log.warning("listening pauses: %s", error)
    switch_when_complete()
    return turn.done


@dataclass
class _Heard:
    listening: Listening
    vectors: Vectors
    learnt: dict[str, object]
    """Columns of the track that hearing it filled; none when the vectors were kept before."""


class _Turn:
    """Several recordings on their way: heard by the pipeline, then written in bulk.

    The index is written by a thread, one bulk at a time, while the model goes on; what is finished
    meanwhile makes the next bulk. Only the caller's thread asks the database.
    """

    def __init__(self, pipeline: Pipeline, writer: ThreadPoolExecutor) -> None:
        self._pipeline = pipeline
        self._writer = writer
        self._open: dict[int, Listening] = {}
        self._heard: list[_Heard] = []
        self._writing: list[_Heard] = []
        self._written: Future[None] | None = None
        self._began = 0.0
        self._beaten = time.monotonic()
        self.done = 0

    def run(self, seconds: float | None) -> None:
        ends = float("inf") if seconds is None else time.monotonic() + seconds
        while True:
            late = time.monotonic() > ends
            more = self._claim(late=late)
            if self._open:
                for outcome in self._pipeline.step():
                    self._take(outcome)
            self._write(wait=not self._open)
            self._beat()
            if not (more or self._open or self._heard or self._written):
                return

    def claimed(self) -> list[Listening]:
        """All that this turn holds."""
        held = [*self._heard, *self._writing]
        return [*self._open.values(), *(each.listening for each in held)]

    def _claim(self, *, late: bool) -> bool:
        """Take work when less than half is left; once late, only short work beside long work."""
        if len(self._open) > CLAIMED // 2 or self._has_one_to_hear_alone():
            return False
        long = sum(one.track.duration_ms > LONG_MS for one in self._open.values())
        if late and not long:
            return False
        room = 0 if late else LONG_STREAMS - long
        taken = claim(CLAIMED - len(self._open), long=room, others=bool(self._open))
        for listening in taken:
            self._begin(listening)
        return bool(taken)

    def _has_one_to_hear_alone(self) -> bool:
        return any(listening.attempts > 1 for listening in self._open.values())

    def _begin(self, listening: Listening) -> None:
        self._open[listening.pk] = listening
        space, track = listening.space, listening.track
        try:
            vectors = load_vectors(space.name, track.pk)
        except VectorsMissing:
            encoder = load_encoder(space.encoder, settings.MODELS_DIR, threads=1)
            path = Path(default_storage.path(str(track.file.name)))
            self._pipeline.add(Recording(listening.pk, path, track.duration_ms, encoder))
        else:
            self._finish_hearing(listening, vectors, {})

    def _take(self, outcome: Heard | Failed) -> None:
        listening = self._open[outcome.key]
        if isinstance(outcome, Failed):
            if isinstance(outcome.error, Busy):
                raise outcome.error  # that no decoder could be started is not the file's fault
            fail(self._open.pop(outcome.key), _reason(outcome.error))
            self.done += 1
            return
        names = outcome.tag_names
        learnt: dict[str, object] = {"peaks": outcome.peaks}
        if names:
            learnt["auto_tags"] = auto_tags(names, outcome.tag_probabilities)
        self._finish_hearing(listening, Vectors(outcome.embeddings, outcome.spans), learnt)

    def _finish_hearing(
        self, listening: Listening, vectors: Vectors, learnt: dict[str, object]
    ) -> None:
        self._heard.append(_Heard(listening, vectors, learnt))
        del self._open[listening.pk]

    def _write(self, *, wait: bool) -> None:
        """End the bulk that is written, and begin to write what was heard since."""
        if self._written and (wait or self._written.done()):
            self._written.result()
            _finish(self._writing)
            self.done += len(self._writing)
            self._writing, self._written = [], None
        due = wait or time.monotonic() > self._began + BULK_S
        if self._heard and due and not self._written:
            self._began = time.monotonic()
            self._writing, self._heard = self._heard, []
            bulks = _bulks(self._writing)
            self._written = self._writer.submit(_keep, bulks)

    def _beat(self) -> None:
        """Tell every few seconds that this worker is alive."""
        if time.monotonic() - self._beaten > HEARTBEAT_S:
            mine(self.claimed()).update(heartbeat_at=timezone.now())
            self._beaten = time.monotonic()


@dataclass
class _Bulk:
    """What goes to the storage and the index for one space."""

    space: Space
    kept: list[tuple[int, Vectors]]
    windows: list[Entry]
    shrunk: list[int]
    first: bool
    """Nothing of the space is ready, so that it need not be in the index yet."""


def _bulks(heard: list[_Heard]) -> list[_Bulk]:
    """By space, with the tracks' fields as they are now; without tracks deleted meanwhile.

    What was learnt goes to the tracks first: once vectors are kept, nobody listens again.
    """
    with transaction.atomic():
        for each in heard:
            if each.learnt:
                Track.objects.filter(pk=each.listening.track_id).update(**each.learnt)
    by_space: dict[Space, list[_Heard]] = defaultdict(list)
    for each in heard:
        by_space[each.listening.space].append(each)
    bulks = []
    for space, group in by_space.items():
        ids = [each.listening.track_id for each in group]
        tracks = Track.objects.prefetch_related("tags").in_bulk(ids)
        there = [each for each in group if each.listening.track_id in tracks]
        first = not space.listenings.filter(state=State.READY).exists()
        bulk = _Bulk(space, [], [], [], first)
        for each in there:
            track_id, vectors = each.listening.track_id, each.vectors
            spans = [(int(start), int(end)) for start, end in vectors.spans]
            fields = index_fields(tracks[track_id])
            bulk.windows.append(Entry(fields, vectors.embeddings, spans))
            if each.learnt:
                bulk.kept.append((track_id, vectors))
            if each.listening.windows > len(spans):
                bulk.shrunk.append(track_id)
        bulks.append(bulk)
    return bulks


def _keep(bulks: Iterable[_Bulk]) -> None:
    """Write vectors to the storage, then to the index; in a thread, without the database."""
    index = get_index()
    for bulk in bulks:
        name = bulk.space.name
        for track_id, vectors in bulk.kept:
            save_vectors(name, track_id, vectors)
        if not bulk.windows:
            continue
        try:
            if bulk.shrunk:
                index.delete_items(name, bulk.shrunk)
            index.upsert(name, bulk.windows)
        except SpaceMissing as error:
            if not bulk.first:  # made here, it would hold this bulk only, and not be missed again
                raise IndexUnavailable("The vector index lost its content.") from error
            index.create_space(name, bulk.space.dimension, TrackPayload.layout)
            index.upsert(name, bulk.windows)


def _finish(heard: list[_Heard]) -> None:
    """Mark what is in the index as ready; take out again what was deleted meanwhile."""
    with transaction.atomic():
        done = [
            each.listening
            for each in heard
            if mine([each.listening]).update(
                state=State.READY,
                windows=len(each.vectors.embeddings),
                attempts=0,
                claimed_by="",
                finished_at=timezone.now(),
            )
        ]
    for listening in done:
        tell_end(listening, State.READY)
    ids = [each.listening.track_id for each in heard]
    id_map.forget(ids)
    alive = set(Track.objects.filter(pk__in=ids).values_list("pk", flat=True))
    for each in heard:
        space, track_id = each.listening.space.name, each.listening.track_id
        if track_id not in alive:
            _forget(space, track_id)


def _forget(space: str, track_id: int) -> None:
    with suppress(SpaceMissing):
        get_index().delete_items(space, [track_id])
    delete_vectors(space, track_id)


def _reason(error: Exception) -> str:
    """Why a recording failed, for the person who brought it."""
    if isinstance(error, AudioError):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "The file of this track is gone from the storage."
    log.error("a recording could not be heard", exc_info=error)
    return f"Listening failed: {type(error).__name__}: {error}"


def auto_tags(names: tuple[str, ...], probabilities: FloatArray) -> list[dict[str, object]]:
    """The likeliest tags, as the track keeps them."""
    order = np.argsort(-probabilities)[:MAX_AUTO_TAGS]
    return [
        {"name": names[i], "probability": round(float(probabilities[i]), 3)}
        for i in order
        if probabilities[i] >= MIN_TAG_PROBABILITY
    ]
