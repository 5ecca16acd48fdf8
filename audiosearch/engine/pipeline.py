"""Hearing several recordings at once: they are decoded in threads while the model encodes."""

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.audio import stream
from audiosearch.engine.encoders.base import Encoder, FloatArray
from audiosearch.engine.errors import CorruptAudio
from audiosearch.engine.windows import PeakMeter, Window, cut_windows

BATCH_WINDOWS = 8
DECODED_AHEAD = 2 * BATCH_WINDOWS
"""Windows that may wait for the model: of Cnn14, 1.3 MB each."""
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
    peaks: of the waveform, see PeakMeter; tag_probabilities: the highest of each tag, may be empty.
    """

    key: int
    embeddings: FloatArray
    spans: NDArray[np.int64]
    peaks: bytes
    tag_probabilities: FloatArray


@dataclass(frozen=True)
class Failed:
    """A recording that could not be heard, and why."""

    key: int
    error: Exception


@dataclass
class _Hearing:
    recording: Recording
    meter: PeakMeter
    windows: list[tuple[int, int, FloatArray]] = field(default_factory=list)
    likeliest: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    decoded: bool = False

    def result(self) -> Heard | Failed:
        recording = self.recording
        if not self.windows:
            message = "The file is damaged: no sound could be decoded from it."
            return Failed(recording.key, CorruptAudio(message))
        rate = recording.encoder.spec.sample_rate
        self.windows.sort(key=lambda window: window[0])
        spans = [(start * 1000 // rate, end * 1000 // rate) for start, end, _ in self.windows]
        return Heard(
            recording.key,
            np.stack([embedding for _, _, embedding in self.windows]),
            np.array(spans, np.int64),
            self.meter.peaks(),
            self.likeliest,
        )


class Pipeline:
    """Up to `streams` recordings at once; windows of one length share a batch, whoever's they are.

    Whatever is decoded is encoded at once: a recording alone does not wait for others. What
    decoders may have ahead is bounded together and shared in turn, so that a long recording takes
    its part of the model's time and no more. Call from one thread.
    """

    def __init__(self, streams: int) -> None:
        self._decoders = ThreadPoolExecutor(streams, thread_name_prefix="decode")
        self._decoded: Queue[tuple[_Hearing, Window | Exception | None]] = Queue(DECODED_AHEAD)
        self._open: dict[int, _Hearing] = {}
        self._stopped = Event()

    def __enter__(self) -> "Pipeline":
        return self

    def __exit__(self, *_: object) -> None:
        """Give up what is open."""
        self._stopped.set()
        self._decoders.shutdown(wait=True, cancel_futures=True)

    def __len__(self) -> int:
        return len(self._open)

    def add(self, recording: Recording) -> None:
        """Begin to decode a recording."""
        expected = recording.duration_ms * recording.encoder.spec.sample_rate // 1000
        hearing = _Hearing(recording, PeakMeter(expected))
        self._open[recording.key] = hearing
        self._decoders.submit(self._decode, hearing)

    def step(self, timeout_s: float = POLL_S) -> list[Heard | Failed]:
        """Encode what is decoded, after a wait of `timeout_s` at most; returns what is finished."""
        batches: dict[tuple[int, int], list[tuple[_Hearing, Window]]] = defaultdict(list)
        touched: dict[int, _Hearing] = {}
        finished: list[Heard | Failed] = []
        for hearing, item in self._take(timeout_s):
            key = hearing.recording.key
            touched[key] = hearing
            if isinstance(item, Exception):
                finished.append(Failed(key, item))
                self._open.pop(key, None)
            elif item is None:
                hearing.decoded = True
            else:
                kind = id(hearing.recording.encoder), len(item.samples)
                batches[kind].append((hearing, item))
        for batch in batches.values():
            for key, error in _encode(batch):
                finished.append(Failed(key, error))
                self._open.pop(key, None)
        for key, hearing in touched.items():
            if hearing.decoded and self._open.pop(key, None) is not None:
                finished.append(hearing.result())
        return finished

    def _take(self, timeout_s: float) -> Iterator[tuple[_Hearing, Window | Exception | None]]:
        """What is decoded, up to a batch of it; of those still open."""
        windows = 0
        try:
            while windows < BATCH_WINDOWS:
                hearing, item = self._decoded.get(timeout=timeout_s)
                timeout_s = 0.0001
                windows += isinstance(item, Window)
                if hearing.recording.key in self._open:
                    yield hearing, item
        except Empty:
            return

    def _decode(self, hearing: _Hearing) -> None:
        spec = hearing.recording.encoder.spec
        per_ms = spec.sample_rate / 1000
        try:
            blocks = hearing.meter.pass_through(stream(hearing.recording.path, spec.sample_rate))
            for window in cut_windows(
                blocks, int(spec.window_ms * per_ms), int(spec.hop_ms * per_ms)
            ):
                if not self._put(hearing, window):
                    return
            self._put(hearing, None)
        except Exception as error:  # noqa: BLE001 - the caller has it from step()
            self._put(hearing, error)

    def _put(self, hearing: _Hearing, item: Window | Exception | None) -> bool:
        """Hand an item to the model; False when nobody wants it any more."""
        while not self._stopped.is_set() and hearing.recording.key in self._open:
            try:
                self._decoded.put((hearing, item), timeout=POLL_S)
                return True
            except Full:
                continue
        return False


def _encode(batch: list[tuple[_Hearing, Window]]) -> list[tuple[int, Exception]]:
    """Encode windows of one length with one encoder; the recordings that it fails for, and why."""
    encoder = batch[0][0].recording.encoder
    try:
        encoded = encoder.encode(np.stack([window.samples for _, window in batch]))
    except Exception as error:  # noqa: BLE001 - the caller has it from step()
        if len(batch) == 1:
            return [(batch[0][0].recording.key, error)]
        return [failure for one in batch for failure in _encode([one])]
    for number, (hearing, window) in enumerate(batch):
        end = window.start + len(window.samples)
        hearing.windows.append((window.start, end, encoded.embeddings[number]))
        if encoded.tag_probabilities is not None:
            found = encoded.tag_probabilities[number]
            known = hearing.likeliest
            hearing.likeliest = np.maximum(known, found) if len(known) else found
    return []
