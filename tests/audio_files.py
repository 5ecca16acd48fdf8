"""Sounds for tests, and files of every format we read, written as people's programs write them."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Encoding:
    """How files of one suffix are written; sample_rate None: the rate of the samples."""

    container: str
    codec: str
    sample_format: str
    sample_rate: int | None = None
    stereo_only: bool = False
    video: bool = False
    stream_options: Mapping[str, str] = field(default_factory=dict)
    container_options: Mapping[str, str] = field(default_factory=dict)


ENCODINGS: Mapping[str, Encoding] = {
    ".wav": Encoding("wav", "pcm_s16le", "s16"),
    ".flac": Encoding("flac", "flac", "s16"),
    ".mp3": Encoding("mp3", "libmp3lame", "fltp"),
    # FFmpeg's own Vorbis encoder is experimental and knows only stereo.
    ".ogg": Encoding("ogg", "vorbis", "fltp", stereo_only=True, stream_options={"strict": "-2"}),
    ".opus": Encoding("opus", "libopus", "flt", sample_rate=48000),
    ".m4a": Encoding("ipod", "aac", "fltp"),
    ".aiff": Encoding("aiff", "pcm_s16be", "s16", container_options={"write_id3v2": "1"}),
    ".webm": Encoding("webm", "libopus", "flt", sample_rate=48000),
    ".mp4": Encoding("mp4", "aac", "fltp", video=True),
}
ALAC = Encoding("ipod", "alac", "s16p")
IMA_ADPCM = Encoding("wav", "adpcm_ima_wav", "s16p")
FRAME_SAMPLES = 1024
VIDEO_FPS = 10
VIDEO_SIZE = 64


def tone(
    seconds: float, hz: float = 440, sample_rate: int = 32000, level: float = 0.5
) -> FloatArray:
    """A sine of peak `level`: (samples,) float32."""
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    return (level * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def noise(
    seconds: float, seed: int = 0, sample_rate: int = 32000, level: float = 0.3
) -> FloatArray:
    """White noise between -level and level, the same for one seed: (samples,) float32."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-level, level, round(seconds * sample_rate)).astype(np.float32)


def write_audio(
    path: Path,
    samples: FloatArray,
    sample_rate: int = 32000,
    *,
    tags: Mapping[str, str] | None = None,
    encoding: Encoding | None = None,
) -> Path:
    """Write a file in the format its suffix names (see ENCODINGS), and return its path.

    samples: (n,) mono or (2, n) stereo in -1..1; tags: title, artist and album. Ogg Vorbis is
    always stereo; Opus is always at 48 kHz; MP4 has a black picture as well. encoding: another one.
    """
    encoding = encoding or ENCODINGS[path.suffix.lower()]
    channels = np.atleast_2d(np.asarray(samples, dtype=np.float32))
    if encoding.stereo_only and len(channels) == 1:  # FFmpeg's own conversion is 3 dB quieter
        channels = np.repeat(channels, 2, axis=0)
    layout = {1: "mono", 2: "stereo"}[len(channels)]
    with av.open(
        str(path), "w", format=encoding.container, options=dict(encoding.container_options)
    ) as container:
        container.metadata.update(tags or {})
        audio: Any = container.add_stream(
            encoding.codec,
            rate=encoding.sample_rate or sample_rate,
            layout=layout,
            format=encoding.sample_format,
            options=dict(encoding.stream_options),
        )
        # Ogg keeps its tags with the stream, the others with the container.
        audio.metadata.update(tags or {})
        if encoding.video:
            _add_black_video(container, channels.shape[1] / sample_rate)
        _encode(container, audio, channels, sample_rate, layout)
    return path


def write_nothing(
    path: Path, seconds: int, *, sample_rate: int = 192_000, channels: int = 8
) -> Path:
    """A WAV of digital zeros that takes long to decode and hardly any room on the disk."""
    frame = 2 * channels
    size = seconds * sample_rate * frame
    wave = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, sample_rate, 0, frame, 16)
    head = (
        b"RIFF" + struct.pack("<I", 36 + size) + b"WAVE" + wave + struct.pack("<4sI", b"data", size)
    )
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)
    return path


def _encode(
    container: Any, stream: Any, channels: FloatArray, sample_rate: int, layout: str
) -> None:
    context = stream.codec_context
    converter = av.AudioResampler(format=context.format, layout=context.layout, rate=context.rate)
    for start in range(0, channels.shape[1], FRAME_SAMPLES):
        block = np.ascontiguousarray(channels[:, start : start + FRAME_SAMPLES])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
        frame.sample_rate = sample_rate
        frame.pts = start
        for converted in converter.resample(frame):
            container.mux(stream.encode(converted))
    for converted in converter.resample(None):
        container.mux(stream.encode(converted))
    container.mux(stream.encode(None))


def _add_black_video(container: Any, seconds: float) -> None:
    """Frames of nothing, as long as the sound."""
    video = container.add_stream("mpeg4", rate=VIDEO_FPS)
    video.width = video.height = VIDEO_SIZE
    video.pix_fmt = "yuv420p"
    black = np.zeros((VIDEO_SIZE, VIDEO_SIZE, 3), np.uint8)
    for _ in range(max(1, round(seconds * VIDEO_FPS))):
        container.mux(video.encode(av.VideoFrame.from_ndarray(black, format="rgb24")))
    container.mux(video.encode(None))
