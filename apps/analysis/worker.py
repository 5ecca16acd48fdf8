"""The worker: lease tracks, analyse several at once, write what was found, settle each analysis."""

import logging
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor

from django.conf import settings

from apps.analysis.leasing import LONG_MS, lease_tracks, ready_analyzers, set_aside, tell_end
from apps.analysis.models import FILE_GONE, TrackAnalysis
from apps.analysis.representations import NotKept, load_kept
from apps.analysis.spaces import switch_when_complete
from apps.analysis.writing import Finished, finish, prepare, write
from apps.catalog.files import sound_of
from apps.jobs.leases import heartbeat, release, requeue_left, settle
from apps.jobs.models import State
from audiosearch.engine.analyzers.base import Analyzer, Representation
from audiosearch.engine.analyzers.pipeline import Analysed, Failed, Pipeline, Recording
from audiosearch.engine.errors import AudioError, Busy, EngineError

log = logging.getLogger(__name__)
STREAMS = 4
"""Recordings decoded at once by one worker."""
LEASED = 2 * STREAMS
"""Tracks that one worker holds, so that it need not ask for each."""
LONG_STREAMS = 2
"""Of which longer than LONG_MS, so that short ones need not wait for the end of long ones."""
HEARTBEAT_S = 5
BULK_S = 1.0
"""Not more often is the index written while there is more to analyse."""


def work(seconds: float | None = None) -> int:
    """Analyse until nothing is queued, or begin nothing after `seconds`; returns how many tracks.

    Stops early, with the work released, when the index, the decoders or the storage are away.
    """
    requeue_left(TrackAnalysis, set_aside)
    analyzers = ready_analyzers()
    workers = settings.ENCODER_THREADS or len(os.sched_getaffinity(0))
    with (
        Pipeline(STREAMS, workers, settings.DECODE_BUDGET) as pipeline,
        ThreadPoolExecutor(1, "index") as writer,
    ):
        turn = _Turn(pipeline, writer, analyzers)
        try:
            turn.run(seconds)
        except (EngineError, OSError) as error:
            release(turn.leased(), _why_later(error))
            log.warning("analysis pauses: %s", error)
    switch_when_complete()
    return len(turn.done)


class _Turn:
    """Several recordings on their way: analysed by the pipeline, then written in bulk.

    The index is written by a thread, one bulk at a time, while the models go on; what is finished
    meanwhile makes the next bulk. Only the caller's thread asks the database.
    """

    def __init__(
        self, pipeline: Pipeline, writer: ThreadPoolExecutor, analyzers: dict[int, Analyzer]
    ) -> None:
        self._pipeline = pipeline
        self._writer = writer
        self._analyzers = analyzers
        self._open: dict[int, TrackAnalysis] = {}
        self._finished: list[Finished] = []
        self._writing: list[Finished] = []
        self._written: Future[None] | None = None
        self._began = 0.0
        self._beaten = time.monotonic()
        self.done: set[int] = set()

    def run(self, seconds: float | None) -> None:
        ends = float("inf") if seconds is None else time.monotonic() + seconds
        while True:
            late = time.monotonic() > ends
            more = self._lease(late=late)
            if self._open:
                for outcome in self._pipeline.step():
                    self._take(outcome)
            self._write(wait=not self._open)
            self._heartbeat()
            if not (more or self._open or self._finished or self._written):
                return

    def leased(self) -> list[TrackAnalysis]:
        """All that this turn holds."""
        held = [*self._finished, *self._writing]
        return [*self._open.values(), *(each.row for each in held)]

    def _lease(self, *, late: bool) -> bool:
        """Take work when less than half is left; once late, only short work beside long work."""
        tracks = {row.track_id: row.track.duration_ms for row in self._open.values()}
        alone = any(row.attempts > 1 for row in self._open.values())
        if len(tracks) > LEASED // 2 or alone:
            return False
        long = sum(duration_ms > LONG_MS for duration_ms in tracks.values())
        if late and not long:
            return False
        leased = lease_tracks(
            self._analyzers,
            LEASED - len(tracks),
            long=0 if late else LONG_STREAMS - long,
            others=bool(tracks),
        )
        for rows in leased.values():
            self._begin(rows)
        return bool(leased)

    def _begin(self, rows: list[TrackAnalysis]) -> None:
        """All analyses of one track: what was kept before is taken, the rest share one decode."""
        wanted: dict[int, Analyzer] = {}
        for row in rows:
            analyzer = self._analyzers[row.space_id]
            if (kept := _kept(row, analyzer.representation)) is not None:
                self._finished.append(Finished(row, kept, kept=True))
            else:
                self._open[row.pk] = row
                wanted[row.pk] = analyzer
        if wanted:
            track = rows[0].track
            path = sound_of(str(track.file.name), track.stream)
            self._pipeline.add(Recording(path, track.duration_ms, wanted))

    def _take(self, outcome: Analysed | Failed) -> None:
        if isinstance(outcome, Failed):
            if isinstance(outcome.error, Busy):
                raise outcome.error  # that no decoder could be started is not the file's fault
            row, reason = self._open.pop(outcome.key), _reason(outcome.error)
            if settle(row, State.FAILED, reason):
                tell_end(row, State.FAILED, reason)
            self.done.add(row.track_id)
            return
        self._finished.append(Finished(self._open.pop(outcome.key), outcome.representation))

    def _write(self, *, wait: bool) -> None:
        """End the bulk that is written, and begin to write what was found since."""
        if self._written and (wait or self._written.done()):
            self._written.result()
            finish(self._writing)
            self.done.update(each.row.track_id for each in self._writing)
            self._writing, self._written = [], None
        due = wait or time.monotonic() > self._began + BULK_S
        if self._finished and due and not self._written:
            self._began = time.monotonic()
            self._writing, self._finished = self._finished, []
            self._written = self._writer.submit(write, prepare(self._writing))

    def _heartbeat(self) -> None:
        """Tell every few seconds that this worker is alive."""
        if time.monotonic() - self._beaten > HEARTBEAT_S:
            heartbeat(self.leased())
            self._beaten = time.monotonic()


def _kept(row: TrackAnalysis, kind: type[Representation]) -> Representation | None:
    """What an earlier analysis left as a file, if it did."""
    if not kind.kept:
        return None
    try:
        return load_kept(row.space.name, row.track_id, kind)
    except NotKept:
        return None


def _reason(error: Exception) -> str:
    """Why an analysis failed, for the person who brought the recording."""
    if isinstance(error, AudioError):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return FILE_GONE
    log.error("a recording could not be analysed", exc_info=error)
    return "Listening failed by a fault of ours; the server's log says what it is."


def _why_later(error: EngineError | OSError) -> str:
    """Why an analysis waits; of an error of the system no more than its name, as it has paths."""
    if isinstance(error, EngineError):
        return str(error)
    return f"The storage cannot be used: {error.strerror or type(error).__name__}."
