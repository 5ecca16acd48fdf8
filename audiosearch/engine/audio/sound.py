"""One stream of a file as mono blocks on the player's clock; for the decoder process only."""

from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.audio.channels import Mixer
from audiosearch.engine.audio.clock import Clock

LOUDEST = 1e6  # full scale is 1; beyond lie only damaged floats, which overflow in the resampler
SAMPLE_RATES = range(1000, 768_000 + 1)
PREROLL_S = 1.0
LONGEST_PACKET_S = 60.0  # the last of an Ogg stream may claim a day
EXACT = frozenset(("wav", "w64", "aiff", "caf", "au", "flac"))
"""Containers that say, for each sample of PCM or FLAC, where it lies."""


def frames(container: Any, stream: Any) -> Iterator[Any]:
    """Decoded frames; damaged packets are passed over, as players do."""
    for packet in packets(container, stream):
        yield from _decoded(packet)


def packets(container: Any, stream: Any) -> Iterator[Any]:
    try:
        yield from container.demux(stream)
    except FFmpegError:
        return


def _decoded(packet: Any) -> Iterator[Any]:
    try:
        yield from packet.decode()
    except FFmpegError:
        return


class _Blocks:
    """Frames of any size gathered into mono blocks, because each NumPy call costs microseconds.

    Packed: PyAV counts the planes of a planar frame by looking for the end of a row of pointers,
    and from 8 channels on reads past it.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._converter = av.AudioResampler(format="flt", rate=rate)
        self._fifo = av.AudioFifo()
        self._mixer: Mixer | None = None

    def put(self, frame: Any) -> None:
        """Raises FFmpegError or ValueError for a frame of another layout than those before."""
        for part in self._converter.resample(frame):
            part.pts = None  # `Clock` has seen to gaps
            self._fifo.write(part)

    def __len__(self) -> int:
        return int(self._fifo.samples)

    def take(self) -> FloatArray:
        """All that is there as (samples,) float32, mixed to mono, within LOUDEST, never NaN."""
        frame: Any = self._fifo.read()
        channels = frame.layout.nb_channels
        packed = frame.to_ndarray().reshape(-1, channels)
        if not np.abs(packed).max(initial=0.0) <= LOUDEST:  # NaN is not either
            packed = np.nan_to_num(packed, nan=0.0, posinf=0.0, neginf=0.0)
            packed = packed.clip(-LOUDEST, LOUDEST)
        self._mixer = self._mixer or Mixer(channels)
        return self._mixer.mix(packed)


class Sound:
    """One stream from `start_s` on, on the player's clock; `clock.at` is where it has come to."""

    def __init__(self, container: Any, stream: Any, start_s: float = 0.0) -> None:
        self._container, self._stream = container, stream
        self._start_s = start_s
        self.clock = Clock(container, stream)
        self._out_s = 0.0  # where the next sample lies that is put out
        self._over = 0  # samples to leave out, as their time has passed

    def blocks(self) -> Iterator[tuple[int, FloatArray]]:
        """Mono blocks of about a second at the stream's own rate, and this rate in Hz."""
        blocks: _Blocks | None = None
        for frame in self._frames():
            if frame.sample_rate not in SAMPLE_RATES:
                continue
            gap = self.clock.gap_before(frame.time)
            blocks = blocks or _Blocks(frame.sample_rate)
            if gap or blocks.rate != frame.sample_rate:
                yield from self._taken(blocks)
                yield from self._silence(gap, frame.sample_rate)
                if gap < 0:
                    self._over += round(-gap * frame.sample_rate)
                if blocks.rate != frame.sample_rate:
                    blocks = _Blocks(frame.sample_rate)
            try:
                blocks.put(frame)
            except (FFmpegError, ValueError):  # the layout changed inside the stream
                yield from self._taken(blocks)
                blocks = _Blocks(frame.sample_rate)
                blocks.put(frame)
            self.clock.at += gap + frame.samples / frame.sample_rate
            if len(blocks) >= blocks.rate:
                yield from self._taken(blocks)
        if blocks:
            yield from self._taken(blocks)

    def _taken(self, blocks: _Blocks) -> Iterator[tuple[int, FloatArray]]:
        if len(blocks):
            block = blocks.take()
            over, self._over = min(self._over, len(block)), max(self._over - len(block), 0)
            yield from self._from_start(block[over:], blocks.rate)

    def _silence(self, gap_s: float, rate: int) -> Iterator[tuple[int, FloatArray]]:
        left = round(gap_s * rate)
        while left > 0:
            yield from self._from_start(np.zeros(min(left, rate), np.float32), rate)
            left -= rate

    def _from_start(self, block: FloatArray, rate: int) -> Iterator[tuple[int, FloatArray]]:
        before = max(0, round((self._start_s - self._out_s) * rate))
        self._out_s += len(block) / rate
        if before < len(block):
            yield rate, block[before:]

    def _frames(self) -> Iterator[Any]:
        """Decoded frames; of a start far off only those from a second before it."""
        from_s = self._start_s - PREROLL_S
        sought = from_s > 0 and self._sought(from_s)
        passing = from_s > 0 and not sought
        placed = from_s <= 0
        for packet in packets(self._container, self._stream):
            if passing and self.passed(packet, from_s):
                continue
            passing = False
            for frame in _decoded(packet):
                if not placed:
                    self.clock.set_by(frame.time, passed=not sought)
                    self._out_s, placed = self.clock.at, True
                yield frame

    def _sought(self, to_s: float) -> bool:
        """Go near a place, in the formats that know exactly where each sample lies."""
        if not is_exact(self._container, self._stream):
            return False
        try:
            self._container.seek(int(to_s * 1e6))
        except FFmpegError:
            self._container.seek(0)
        return True

    def passed(self, packet: Any, from_s: float) -> bool:
        """Whether a packet ends before `from_s`; then it is counted and needs no decoding."""
        if not packet.duration:
            return False
        time_s = None if packet.pts is None else float(packet.pts * packet.time_base)
        end_s = self.clock.at + self.clock.gap_before(time_s)
        lasts_s = float(packet.duration * packet.time_base)
        end_s += lasts_s if 0 < lasts_s <= LONGEST_PACKET_S else 0.0
        if end_s > from_s:
            return False
        self.clock.at = end_s
        return True


def is_exact(container: Any, stream: Any) -> bool:
    codec = stream.codec_context.codec.canonical_name
    return container.format.name in EXACT and (codec == "flac" or codec.startswith("pcm_"))
