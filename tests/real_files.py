"""Healthy files as real programs write them, which careless readers refuse or hear wrong."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.audio_files import FloatArray, write_audio

RATE = 16_000


def id3(padding: int) -> bytes:
    """An ID3v2 tag with a title, and so many bytes of padding."""
    frame = b"TIT2" + (6).to_bytes(4, "big") + b"\0\0\x03Title"
    size = len(frame) + padding
    sizes = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + sizes + frame + bytes(padding)


def wav_bytes(samples: FloatArray, *, magic: bytes = b"RIFF") -> bytes:
    """16-bit mono WAV at RATE under one of its names: RIFF, RIFX (big-endian) or BW64."""
    order: Any = "big" if magic == b"RIFX" else "little"
    pcm = (samples * 32767).round().astype(">i2" if magic == b"RIFX" else "<i2").tobytes()

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, order)

    def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
        return name + number(len(body) if size is None else size, 4) + body

    kind = number(1, 2) + number(1, 2) + number(RATE, 4) + number(2 * RATE, 4)
    body = b"WAVE"
    if magic == b"BW64":
        sizes = number(72 + len(pcm), 8) + number(len(pcm), 8) + number(len(samples), 8)
        body += chunk(b"ds64", sizes + number(0, 4))
    body += chunk(b"fmt ", kind + number(2, 2) + number(16, 2))
    long = magic == b"BW64"
    body += chunk(b"data", pcm, 2**32 - 1 if long else None)
    return magic + number(2**32 - 1 if long else len(body), 4) + body


def write_streams(
    path: Path,
    container: str,
    codec: str,
    streams: Sequence[Sequence[tuple[float, FloatArray]]],
    *,
    rate: int = RATE,
    default: int | None = None,
    languages: Sequence[str] = (),
    picture_s: float = 0.0,
    options: Mapping[str, str] | None = None,
) -> Path:
    """Write streams of sound, each as stretches (mono at `rate`) with the second each begins at.

    default: the one that is marked so. languages: of the first so many. picture_s: of so long a
    black picture beside.
    """
    with av.open(str(path), "w", format=container, options=dict(options or {})) as made:
        added = []
        for number in range(len(streams)):
            stream: Any = made.add_stream(codec, rate=rate, layout="mono")
            if codec.startswith("wma"):
                stream.bit_rate = 64_000
            if default is not None:
                stream.disposition = int(number == default)
            if number < len(languages):
                stream.metadata["language"] = languages[number]
            added.append(stream)
        if picture_s:
            video: Any = made.add_stream("mpeg4" if container != "webm" else "libvpx", rate=5)
            video.width = video.height = 64
            video.pix_fmt = "yuv420p"
            black = np.zeros((64, 64, 3), np.uint8)
            for _ in range(round(picture_s * 5)):
                made.mux(video.encode(av.VideoFrame.from_ndarray(black, format="rgb24")))
            made.mux(video.encode(None))
        for stream, stretches in zip(added, streams, strict=True):
            _encode(made, stream, stretches, rate)
    return path


def _encode(
    made: Any, stream: Any, stretches: Sequence[tuple[float, FloatArray]], rate: int
) -> None:
    context = stream.codec_context
    size = context.frame_size or 1024
    format_name = context.format.name
    for start_s, samples in stretches:
        first = round(start_s * rate)
        for at in range(0, len(samples), size):
            block = samples[None, at : at + size]
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(block), format="fltp", layout="mono"
            )
            frame.sample_rate = rate
            for part in av.AudioResampler(format=format_name, layout="mono").resample(frame):
                part.pts, part.time_base = first + at, Fraction(1, rate)
                made.mux(stream.encode(part))
    made.mux(stream.encode(None))


def chained_ogg(folder: Path, links: Sequence[tuple[FloatArray, int]]) -> bytes:
    """Ogg Vorbis streams one after the other: (channels, n) or (n,), each with its rate in Hz."""
    return b"".join(
        write_audio(folder / f"link{number}.ogg", samples, rate).read_bytes()
        for number, (samples, rate) in enumerate(links)
    )
