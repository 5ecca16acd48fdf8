"""Demo sounds as FLAC files that carry their own tags."""

from pathlib import Path

import av
import numpy as np

from apps.ops.demo.catalogue import DemoSound
from apps.ops.demo.shaping import RATE

ARTIST = "audiosearch demo"


def write_flac(path: Path, sound: DemoSound) -> None:
    """Write a demo sound as 16-bit FLAC with title, artist and album (its family) in its tags.

    The same sound always gives the same bytes.
    """
    pcm = np.round(sound.samples * 32767.0).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(pcm[np.newaxis, :], format="s16", layout="mono")
    frame.sample_rate = RATE
    # Bitexact keeps the encoder's version out of the file, so an upgrade does not change the hash.
    with av.open(str(path), "w", format="flac", options={"fflags": "+bitexact"}) as container:
        container.metadata.update(title=sound.title, artist=ARTIST, album=sound.family)
        stream = container.add_stream("flac", rate=RATE, layout="mono", format="s16")
        stream.codec_context.flags |= av.codec.context.Flags.bitexact.value
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
