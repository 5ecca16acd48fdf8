"""Which sound of a file is heard: its container opened, and one of the streams in it chosen."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from av.error import FFmpegError
from av.stream import Discard

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.audio.choice import stream_of
from audiosearch.engine.audio.containers import CODECS, Part, locate, open_part, parts_of
from audiosearch.engine.audio.formats import FORMATS, SILENCE_PEAK
from audiosearch.engine.audio.sound import SAMPLE_RATES, Sound
from audiosearch.engine.errors import (
    AudioError,
    CorruptAudio,
    EmptyAudio,
    NoSuchStream,
    UnsupportedAudio,
)

FULL_CHECK_MS = 10 * 60 * 1000  # files up to this long are decoded whole before they are accepted
MAX_CHANNELS = 64
DEFAULT = 0x1  # a disposition of FFmpeg
MOST_LINKS = 1000
MOST_NAMED = 32
LOSSLESS = frozenset(("alac", "ape", "flac", "mlp", "shorten", "tak", "truehd", "tta", "wavpack"))


@contextmanager
def opened(
    path: Path, part: Part | None = None, index: int | None = None
) -> Iterator[tuple[Any, Any]]:
    """The container and the audio stream to be heard of it; FFmpeg's errors become ours."""
    with path.open("rb") as file:
        if not file.read(1):
            raise EmptyAudio("The file is empty.")
        part = part or locate(file)
        if part is None:
            raise UnsupportedAudio(f"This is not audio we can read; send {FORMATS}.")
        try:
            container = open_part(file, part)
        except (FFmpegError, ValueError) as error:
            raise CorruptAudio("The file is damaged: its header cannot be read.") from error
        with container:
            stream = _chosen(path, part, container, index)
            for other in container.streams:
                if other.index != stream.index:
                    other.discard = Discard.all
            yield container, stream


def _chosen(path: Path, part: Part, container: Any, index: int | None) -> Any:
    """The stream number `index`, else the one that goes with the path; else the default one, unless
    it is silent and another is not."""
    if index is not None:
        return container.streams[index]
    if asked := stream_of(path):
        return _asked_for(container, asked)
    streams = []
    problem: AudioError = UnsupportedAudio("The file holds no audio.")
    for stream in container.streams.audio:
        try:
            _refuse_unknown(stream)
        except AudioError as error:
            problem = error
        else:
            streams.append(stream)
    if not streams:
        raise problem
    streams.sort(key=lambda stream: not int(stream.disposition) & DEFAULT)
    if len(streams) > 1:
        for stream in streams:
            if _sounds(path, part, stream.index):
                return stream
    return streams[0]


def _asked_for(container: Any, asked: str) -> Any:
    """The sound track of a number, or the first in a language. Raises NoSuchStream, in words."""
    streams = container.streams.audio
    for number, stream in enumerate(streams):
        if asked.casefold() in (str(number), (stream.language or "").casefold()):
            _refuse_unknown(stream)
            return stream
    if not streams:
        raise UnsupportedAudio("The file holds no audio.")
    tracks = f"{len(streams)} sound track{'' if len(streams) == 1 else 's'}"
    there = ", ".join(_named(number, stream) for number, stream in enumerate(streams[:MOST_NAMED]))
    raise NoSuchStream(f"The file has {tracks}: {there}. Choose one of these by its number.")


def _named(number: int, stream: Any) -> str:
    language = (stream.language or "")[:12]
    default = "default" if int(stream.disposition) & DEFAULT else ""
    marks = ", ".join(filter(None, ("" if language == "und" else language, default)))
    return f"{number} ({marks})" if marks else str(number)


def _sounds(path: Path, part: Part, index: int) -> bool:
    """Whether something sounds in the first ten minutes of a stream."""
    heard_s = 0.0
    with opened(path, part, index) as (container, stream):
        for rate, block in Sound(container, stream).blocks():
            if peak_of(block) > silence_peak(stream):
                return True
            heard_s += len(block) / rate
            if heard_s * 1000 > FULL_CHECK_MS:
                break
    return False


def _refuse_unknown(stream: Any) -> None:
    codec = stream.codec_context
    if codec is None or codec.codec.canonical_name not in CODECS:
        raise UnsupportedAudio(f"Its sound is coded in an unknown way; send {FORMATS}.")
    if not codec.sample_rate or not codec.channels:
        raise CorruptAudio("The file is damaged: it does not say how it was sampled.")
    _refuse_extremes(codec)


def _refuse_extremes(codec: Any) -> None:
    """A header may claim anything; a second of it has to fit into memory."""
    if codec.channels > MAX_CHANNELS:
        raise UnsupportedAudio(
            f"The audio has {codec.channels} channels; at most {MAX_CHANNELS} are read."
        )
    if codec.sample_rate not in SAMPLE_RATES:
        raise UnsupportedAudio(
            f"The audio is sampled at {codec.sample_rate} Hz; from {SAMPLE_RATES[0]} to "
            f"{SAMPLE_RATES[-1]} Hz are read."
        )


def links_of(path: Path) -> Sequence[Part | None]:
    """The containers that a file is a chain of; None for one that `opened` refuses in words."""
    with path.open("rb") as file:
        return list(islice(parts_of(file), MOST_LINKS)) or [None]


def peak_of(block: FloatArray) -> float:
    """Half the way from the lowest sample to the highest: a constant is silence, too."""
    return float(np.ptp(block)) / 2 if len(block) else 0.0


def silence_peak(stream: Any) -> float:
    """What is no more than dither at the stream's own depth: two steps of it."""
    codec = stream.codec_context
    kind = codec.format.name.rstrip("p") if codec.format else ""
    if kind == "u8":
        return 2 / 2**7
    coded = codec.codec.canonical_name
    if kind == "s16" or not (coded in LOSSLESS or coded.startswith(("pcm_", "dsd_"))):
        return SILENCE_PEAK
    return 2 / 2**23
