"""Demo sounds as FLAC files that carry their own tags, and an excerpt of one in noise."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from apps.ops.demo.catalogue import DemoSound
from apps.ops.demo.shaping import RATE

ARTIST = "audiosearch demo"


def write_flac(path: Path, sound: DemoSound) -> None:
    """Write a demo sound as 16-bit FLAC with title, artist and album (its family) in its tags.

    The same sound always gives the same bytes.
    """
    with_tags = {"title": sound.title, "artist": ARTIST, "album": sound.family}
    _write(path, sound.samples, with_tags)


def write_noisy_excerpt(path: Path, sound: DemoSound) -> None:
    """Write six seconds from the middle of a demo sound, in noise as loud as they are, as FLAC."""
    middle = len(sound.samples) // 2
    part = sound.samples[middle - 3 * RATE : middle + 3 * RATE]
    noise = np.random.default_rng(0).normal(0, part.std(), len(part)).astype(np.float32)
    both = part + noise
    _write(path, np.float32(0.9) * both / np.abs(both).max(), {})


def _write(path: Path, samples: NDArray[np.float32], tags: dict[str, str]) -> None:
    pcm = np.round(samples * 32767.0).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(pcm[np.newaxis, :], format="s16", layout="mono")
    frame.sample_rate = RATE
    # Bitexact keeps the encoder's version out of the file, so an upgrade does not change the hash.
    with av.open(str(path), "w", format="flac", options={"fflags": "+bitexact"}) as container:
        container.metadata.update(tags)
        stream = container.add_stream("flac", rate=RATE, layout="mono", format="s16")
        stream.codec_context.flags |= av.codec.context.Flags.bitexact.value
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
