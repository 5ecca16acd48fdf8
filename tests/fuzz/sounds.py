"""A short file of every format we read, some in several codings, to be damaged by `damage.py`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

from tests.audio_files import FRAME_SAMPLES, FloatArray, noise, tone, write_audio

TAGS = {"title": "Größe 雨", "artist": "A", "album": "B"}
RATE = 32000

# (suffix, soundfile's format, its subtype): codings that people's programs write besides the usual
PCM_CODINGS = (
    ("pcm24.wav", "WAV", "PCM_24"),
    ("float.wav", "WAV", "FLOAT"),
    ("adpcm.wav", "WAV", "MS_ADPCM"),
    ("mulaw.wav", "WAV", "ULAW"),
    ("extensible.wav", "WAVEX", "PCM_16"),
    ("rf64.wav", "RF64", "PCM_16"),
    ("float.aifc", "AIFF", "FLOAT"),
    ("pcm24.flac", "FLAC", "PCM_24"),
)


def write_originals(folder: Path) -> Mapping[str, bytes]:
    """The sound files by name, each between 0.3 and 1 s of a tone under a little noise."""
    seconds = {"mp4": 0.4, "wav": 0.3, "aiff": 0.3}
    originals = {}
    for suffix in ("wav", "flac", "mp3", "ogg", "opus", "m4a", "aiff", "webm", "mp4"):
        sound = _sound(seconds.get(suffix, 0.7), stereo=suffix in ("flac", "m4a", "ogg"))
        path = write_audio(folder / f"usual.{suffix}", sound, RATE, tags=TAGS)
        originals[path.name] = path.read_bytes()
    for name, container, subtype in PCM_CODINGS:
        path = folder / name
        soundfile.write(path, _sound(0.3, stereo=True).T, RATE, format=container, subtype=subtype)
        originals[name] = path.read_bytes()
    path = folder / "surround.wav"
    soundfile.write(path, np.stack([_sound(0.3, stereo=False)] * 8, 1), RATE, format="WAVEX")
    originals[path.name] = path.read_bytes()
    for name, container, codec in (
        ("adts.aac", "adts", "aac"),
        ("alac.m4a", "ipod", "alac"),
        ("vorbis.webm", "webm", "vorbis"),
        ("flac.ogg", "ogg", "flac"),
    ):
        originals[name] = _written(folder / name, container, codec)
    return originals


def _sound(seconds: float, *, stereo: bool) -> FloatArray:
    mono = tone(seconds, 440, RATE) + noise(seconds, sample_rate=RATE, level=0.05)
    return np.stack([mono, mono / 2]) if stereo else mono


def _written(path: Path, container_name: str, codec: str) -> bytes:
    """Stereo in a container with a codec that `write_audio` does not write."""
    samples = _sound(0.7, stereo=True)
    with av.open(str(path), "w", format=container_name) as container:
        stream: Any = container.add_stream(
            codec, rate=RATE, layout="stereo", options={"strict": "-2"}
        )
        context = stream.codec_context
        converter = av.AudioResampler(format=context.format, layout="stereo", rate=RATE)
        for start in range(0, samples.shape[1], FRAME_SAMPLES):
            block = np.ascontiguousarray(samples[:, start : start + FRAME_SAMPLES])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = RATE, start
            for converted in converter.resample(frame):
                container.mux(stream.encode(converted))
        container.mux(stream.encode(None))
    return path.read_bytes()
