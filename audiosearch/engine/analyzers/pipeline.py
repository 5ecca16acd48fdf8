"""Hearing several recordings at once: they are decoded in threads while the model encodes."""

from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Semaphore

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.base import Encoded, Encoder, FloatArray
from audiosearch.engine.analyzers.windows import PeakMeter, Window, cut_windows
from audiosearch.engine.audio.sandbox import stream
from audiosearch.engine.errors import CorruptAudio

BATCH_WINDOWS = 8
"""Windows in the model at once, by all workers together; of Cnn14, 1.3 MB of samples each."""
POLL_S = 0.2


@dataclass(frozen=True)
class Recording:
    """A file to hear with an encoder; `key` is the caller's name for it."""

    key: int
    path: Path
    duration_ms: int
    encoder: Encoder


@dataclass(frozen=True)
class Heard:
    """What hearing a recording gave.

    embeddings: (n, dimension) float32 of unit length; spans: (n, 2) int64, start and end in ms;
    peaks: of the waveform, see PeakMeter. tag_probabilities: (len(tag_names),) float32, the highest
    of each tag in any window; empty when the encoder gives none.
    """

    key: int
    embeddings: FloatArray
    spans: NDArray[np.int64]
    peaks: bytes
    tag_names: tuple[str, ...]
    tag_probabilities: FloatArray


@dataclass(frozen=True)
class Failed:
    """A recording that could not be heard, and why."""

    key: int
    error: Exception


@dataclass(eq=False)
class _Hearing:
    """A recording that is open: what is known of it so far."""

    recording: Recording
    meter: PeakMeter
    windows: list[tuple[int, int, FloatArray]] = field(default_factory=list)
    likeliest: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    unheard: int = 0
    decoded: bool = False
    error: Exception | None = None

    def learn(self, window: Window, heard: Encoded) -> None:
        """Take in what was heard in one window."""
        end = window.start + len(window.samples)
        self.windows.append((window.start, end, heard.embeddings))
        tags = heard.tag_probabilities
        if tags is not None:
            self.likeliest = np.maximum(self.likeliest, tags) if len(self.likeliest) else tags

    def result(self) -> Heard | Failed:
        recording, error = self.recording, self.error
        if error is None and not self.windows:
            error = CorruptAudio("The file is damaged: no sound could be decoded from it.")
        if error is not None:
            return Failed(recording.key, error)
        rate = recording.encoder.spec.sample_rate
        self.windows.sort(key=lambda window: window[0])
        spans = [(start * 1000 // rate, end * 1000 // rate) for start, end, _ in self.windows]
        return Heard(
            recording.key,
            np.stack([embedding for _, _, embedding in self.windows]),
            np.array(spans, np.int64),
            self.meter.peaks(),
            recording.encoder.tag_names,
            self.likeliest,
        )


_Batch = list[tuple[_Hearing, Window]]


class Pipeline:
    """Up to `streams` recordings at once; windows of one length share a batch, whoever's they are.

    `workers` batches are encoded at a time, each on one core, which wastes less than one batch on
    all of them. A worker takes what is decoded, be it one window: a recording alone does not wait
    for others. What decoders may have ahead is bounded together and shared in turn, so that a long
    recording takes its part of the model's time and no more. Call from one thread.
    """

    def __init__(self, streams: int, workers: int) -> None:
        self._decoders = ThreadPoolExecutor(streams, "decode")
        self._encoders = ThreadPoolExecutor(workers, "encode")
        self._idle = workers
        self._batch_windows = max(BATCH_WINDOWS // workers, 1)
        self._room = Semaphore(BATCH_WINDOWS + 2 * workers)
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._ready: dict[tuple[int, int], _Batch] = defaultdict(list)
        self._open: set[_Hearing] = set()
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
        expected = recording.duration_ms * recording.encoder.spec.sample_rate // 1000
        hearing = _Hearing(recording, PeakMeter(expected))
        self._open.add(hearing)
        self._decoders.submit(self._decode, hearing)

    def step(self, timeout_s: float = POLL_S) -> list[Heard | Failed]:
        """Go on, waiting `timeout_s` at most for something to do; returns what is finished."""
        try:
            self._inbox.get(timeout=timeout_s)()
            while True:
                self._inbox.get_nowait()()
        except Empty:
            pass
        while self._idle and self._ready:
            kind = next(iter(self._ready))
            windows = self._ready.pop(kind)
            if windows[self._batch_windows :]:
                self._ready[kind] = windows[self._batch_windows :]
            self._idle -= 1
            self._encoders.submit(self._encode, windows[: self._batch_windows])
        finished = [one for one in self._open if one.decoded and not one.unheard]
        self._open.difference_update(finished)
        return [hearing.result() for hearing in finished]

    def _decode(self, hearing: _Hearing) -> None:
        """In a thread: cut the recording into windows, and put each into the inbox."""
        spec = hearing.recording.encoder.spec
        per_ms = spec.sample_rate / 1000
        error = None
        try:
            blocks = hearing.meter.pass_through(stream(hearing.recording.path, spec.sample_rate))
            for window in cut_windows(
                blocks, int(spec.window_ms * per_ms), int(spec.hop_ms * per_ms)
            ):
                while not self._room.acquire(timeout=POLL_S):
                    if self._stopped.is_set():
                        return
                if hearing.error:
                    self._room.release()
                    break
                self._inbox.put(partial(self._decoded_window, hearing, window))
        except Exception as found:  # noqa: BLE001 - the caller has it from step()
            error = found
        self._inbox.put(partial(self._decoded_all, hearing, error))

    def _decoded_window(self, hearing: _Hearing, window: Window) -> None:
        hearing.unheard += 1
        kind = id(hearing.recording.encoder), len(window.samples)
        self._ready[kind].append((hearing, window))

    def _decoded_all(self, hearing: _Hearing, error: Exception | None) -> None:
        hearing.decoded = True
        hearing.error = hearing.error or error

    def _encode(self, batch: _Batch) -> None:
        """In a thread: encode windows of one length with one encoder."""
        self._inbox.put(partial(self._encoded, batch, _encode(batch)))

    def _encoded(self, batch: _Batch, answers: list[Encoded | Exception]) -> None:
        self._idle += 1
        for (hearing, window), answer in zip(batch, answers, strict=True):
            self._room.release()
            hearing.unheard -= 1
            if isinstance(answer, Exception):
                hearing.error = answer
            else:
                hearing.learn(window, answer)


def _encode(batch: _Batch) -> list[Encoded | Exception]:
    """For each window what the encoder heard in it, or why it could not."""
    encoder = batch[0][0].recording.encoder
    try:
        found = encoder.encode(np.stack([window.samples for _, window in batch]))
    except Exception as error:  # noqa: BLE001 - the caller has it from step()
        if len(batch) == 1:
            return [error]
        return [answer for one in batch for answer in _encode([one])]
    tags = found.tag_probabilities
    return [
        Encoded(embedding, None if tags is None else tags[number])
        for number, embedding in enumerate(found.embeddings)
    ]
