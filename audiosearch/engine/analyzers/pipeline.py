"""Analysing several recordings at once: each is decoded once for all of its analyzers.

Recordings are decoded in threads, which feed the stream analyzers, while encoders embed in others.
"""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Semaphore

import numpy as np

from audiosearch.engine.analyzers.base import (
    Analyzer,
    Encoded,
    Encoder,
    Representation,
    Stream,
    StreamAnalyzer,
)
from audiosearch.engine.analyzers.clips import BATCH_WINDOWS, EmbeddingsBuilder
from audiosearch.engine.analyzers.windows import Window, WindowCutter
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.audio.messages import DEFAULT_BUDGET, Budget
from audiosearch.engine.audio.sandbox import stream_rates
from audiosearch.engine.errors import CorruptAudio

ANY_RATE = 16_000
"""Hz, for analyzers that take any rate when no other asks for one."""
POLL_S = 0.2


@dataclass(frozen=True)
class Recording:
    """A file and what is to analyse it: by the caller's key for each analysis, unique among all."""

    path: Path
    duration_ms: int
    analyzers: Mapping[int, Analyzer]


@dataclass(frozen=True)
class Analysed:
    """An analysis that succeeded, and what it gave."""

    key: int
    representation: Representation


@dataclass(frozen=True)
class Failed:
    """An analysis that failed, and why."""

    key: int
    error: Exception


class _Analysis(ABC):
    """One analyzer on its way through one recording.

    The thread that decodes feeds it; the counts and flags are the caller's thread's to write.
    """

    def __init__(self, key: int, rate: int) -> None:
        self.key, self.rate = key, rate
        self.unencoded = 0
        self.decoded = self.settled = False

    @abstractmethod
    def feed(self, block: FloatArray) -> Iterable["_Piece"]:
        """Take the next samples; returns what is to be encoded."""

    @abstractmethod
    def finish(self) -> Iterable["_Piece"]:
        """Take the end of the recording; returns what is to be encoded still."""

    @abstractmethod
    def result(self) -> Representation:
        """What came of it, once all is encoded."""


class _Streaming(_Analysis):
    def __init__(self, key: int, analyzer: StreamAnalyzer, rate: int, duration_ms: int) -> None:
        super().__init__(key, rate)
        self._begin = partial(analyzer.begin, duration_ms, rate)

    @cached_property
    def _stream(self) -> Stream:
        return self._begin()

    def feed(self, block: FloatArray) -> Iterable["_Piece"]:
        self._stream.feed(block)
        return ()

    def finish(self) -> Iterable["_Piece"]:
        self._result = self._stream.finish()
        return ()

    def result(self) -> Representation:
        return self._result


class _Encoding(_Analysis):
    def __init__(self, key: int, encoder: Encoder) -> None:
        super().__init__(key, encoder.spec.sample_rate)
        self.encoder = encoder
        self.builder = EmbeddingsBuilder(encoder)
        self._cutter = WindowCutter(encoder.spec)

    def feed(self, block: FloatArray) -> Iterable["_Piece"]:
        return ((self, window) for window in self._cutter.feed(block))

    def finish(self) -> Iterable["_Piece"]:
        return ((self, window) for window in self._cutter.finish())

    def result(self) -> Representation:
        return self.builder.build()


_Piece = tuple[_Encoding, Window]


class Pipeline:
    """Up to `streams` recordings at once; windows of one length share a batch, whoever's they are.

    `workers` batches are encoded at a time, each on one core, which wastes less than one batch on
    all of them. A worker takes what is decoded, be it one window: a recording alone does not wait
    for others. What decoders may have ahead is bounded together and shared in turn, so that a long
    recording takes its part of the model's time and no more. `budget` is what decoding each may
    cost. Call from one thread.
    """

    def __init__(self, streams: int, workers: int, budget: Budget = DEFAULT_BUDGET) -> None:
        self._budget = budget
        self._decoders = ThreadPoolExecutor(streams, "decode")
        self._encoders = ThreadPoolExecutor(workers, "encode")
        self._idle = workers
        self._batch_windows = max(BATCH_WINDOWS // workers, 1)
        self._room = Semaphore(BATCH_WINDOWS + 2 * workers)
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._ready: dict[tuple[int, int], list[_Piece]] = defaultdict(list)
        self._outcomes: list[Analysed | Failed] = []
        self._stopped = Event()

    def __enter__(self) -> "Pipeline":
        return self

    def __exit__(self, *_: object) -> None:
        """Give up what is open."""
        self._stopped.set()
        self._decoders.shutdown(wait=True, cancel_futures=True)
        self._encoders.shutdown(wait=True, cancel_futures=True)

    def add(self, recording: Recording) -> None:
        """Begin to decode a recording."""
        self._decoders.submit(self._decode, recording.path, _analyses_of(recording))

    def step(self, timeout_s: float = POLL_S) -> list[Analysed | Failed]:
        """Go on, waiting `timeout_s` at most for something to do; returns what is settled.

        Each key is told once, as soon as it is known. A file that cannot be decoded fails all of
        its analyses; an analyzer that raises fails its own.
        """
        try:
            self._inbox.get(timeout=timeout_s)()
            while True:
                self._inbox.get_nowait()()
        except Empty:
            pass
        while self._idle and self._ready:
            kind = next(iter(self._ready))
            pieces = self._ready.pop(kind)
            if pieces[self._batch_windows :]:
                self._ready[kind] = pieces[self._batch_windows :]
            self._idle -= 1
            self._encoders.submit(self._encode, pieces[: self._batch_windows])
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def _decode(self, path: Path, analyses: list[_Analysis]) -> None:
        """In a thread: feed the recording to its analyses until the end, or until none is left."""
        sounded = False
        try:
            rates = sorted({one.rate for one in analyses})
            for rate, block in stream_rates(path, rates, budget=self._budget):
                sounded = sounded or len(block) > 0
                analyses = [
                    one
                    for one in analyses
                    if one.rate != rate or self._goes_on(one, partial(one.feed, block))
                ]
                if not analyses or self._stopped.is_set():
                    return
            if not sounded:
                raise CorruptAudio("The file is damaged: no sound could be decoded from it.")
        except Exception as error:  # noqa: BLE001 - the caller has it from step()
            for one in analyses:
                self._inbox.put(partial(self._settle, one, Failed(one.key, error)))
            return
        for one in analyses:
            if self._goes_on(one, one.finish):
                self._inbox.put(partial(self._decoded_all, one))

    def _goes_on(self, analysis: _Analysis, take: Callable[[], Iterable[_Piece]]) -> bool:
        """In a thread: let an analysis take something; False when it has failed or is given up."""
        try:
            for piece in take():
                while not self._room.acquire(timeout=POLL_S):
                    if self._stopped.is_set():
                        return False
                self._inbox.put(partial(self._decoded_piece, piece))
        except Exception as error:  # noqa: BLE001 - the caller has it from step()
            self._inbox.put(partial(self._settle, analysis, Failed(analysis.key, error)))
            return False
        return not analysis.settled

    def _decoded_piece(self, piece: _Piece) -> None:
        analysis, window = piece
        analysis.unencoded += 1
        self._ready[id(analysis.encoder), len(window.samples)].append(piece)

    def _decoded_all(self, analysis: _Analysis) -> None:
        analysis.decoded = True
        self._settle_when_done(analysis)

    def _encode(self, batch: list[_Piece]) -> None:
        """In a thread: embed windows of one length with one encoder."""
        self._inbox.put(partial(self._encoded, batch, _encode(batch)))

    def _encoded(self, batch: list[_Piece], answers: list[Encoded | Exception]) -> None:
        self._idle += 1
        for (analysis, window), answer in zip(batch, answers, strict=True):
            self._room.release()
            analysis.unencoded -= 1
            if isinstance(answer, Exception):
                self._settle(analysis, Failed(analysis.key, answer))
            else:
                analysis.builder.add([window], answer)
                self._settle_when_done(analysis)

    def _settle_when_done(self, analysis: _Analysis) -> None:
        if analysis.decoded and not analysis.unencoded and not analysis.settled:
            try:
                outcome: Analysed | Failed = Analysed(analysis.key, analysis.result())
            except Exception as error:  # noqa: BLE001 - the caller has it from step()
                outcome = Failed(analysis.key, error)
            self._settle(analysis, outcome)

    def _settle(self, analysis: _Analysis, outcome: Analysed | Failed) -> None:
        if not analysis.settled:
            analysis.settled = True
            self._outcomes.append(outcome)


def _analyses_of(recording: Recording) -> list[_Analysis]:
    rates = [analyzer.spec.sample_rate for analyzer in recording.analyzers.values()]
    shared = max(filter(None, rates), default=ANY_RATE)
    analyses: list[_Analysis] = []
    for key, analyzer in recording.analyzers.items():
        if isinstance(analyzer, Encoder):
            analyses.append(_Encoding(key, analyzer))
        elif isinstance(analyzer, StreamAnalyzer):
            rate = analyzer.spec.sample_rate or shared
            analyses.append(_Streaming(key, analyzer, rate, recording.duration_ms))
        else:
            raise TypeError(f"{analyzer.spec.name} is neither an Encoder nor a StreamAnalyzer.")
    return analyses


def _encode(batch: list[_Piece]) -> list[Encoded | Exception]:
    """For each window what the encoder made of it, or why it could not."""
    encoder = batch[0][0].encoder
    try:
        found = encoder.encode(np.stack([window.samples for _, window in batch]))
        tags = found.tag_probabilities
        expected = (len(batch), encoder.spec.dimension)
        if found.embeddings.shape != expected or (tags is not None and len(tags) != len(batch)):
            raise ValueError(f"What {encoder.spec.name} gives does not fit {len(batch)} windows.")
        return [
            Encoded(found.embeddings[n : n + 1], None if tags is None else tags[n : n + 1])
            for n in range(len(batch))
        ]
    except Exception as error:  # noqa: BLE001 - the caller has it from step()
        if len(batch) == 1:
            return [error]
        return [answer for piece in batch for answer in _encode([piece])]
