"""How much louder one copy of a recording is than another, so that both are heard alike."""

import numpy as np

from apps.analysis.clips import decode_clip
from apps.catalog.models import Track
from apps.catalog.recordings import sound_of
from apps.discovery.models import DuplicatePair
from audiosearch.engine.errors import AudioError, EngineError

MEASURED_MS = 10_000
RATE = 11_025


def gain_between(pair: DuplicatePair) -> float | None:
    """dB by which the second is louder in the stretch they share; None where a file cannot be read.

    By the root mean square of its first ten seconds.
    """
    try:
        levels = [_level(track, pair.stretch_in(track.pk)) for track in (pair.first, pair.second)]
    except (AudioError, EngineError, OSError):
        return None
    return round(levels[1] - levels[0], 2)


def _level(track: Track, stretch: tuple[int, int]) -> float:
    """In dB of full scale."""
    start, end = stretch
    samples = decode_clip(
        sound_of(str(track.file.name), track.stream),
        RATE,
        most_s=MEASURED_MS // 1000,
        start_ms=start,
        end_ms=min(end, start + MEASURED_MS),
    )
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))
