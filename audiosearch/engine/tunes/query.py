"""A tune that is asked for, as one line of pitches: a hum, a whistle, a stretch of a recording."""

from dataclasses import dataclass

import numpy as np

from audiosearch.engine.analyzers.base import Representation
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.analysis import tune_of
from audiosearch.engine.tunes.melody_network import likelihoods, sureness
from audiosearch.engine.tunes.pitch import PitchTrack, track_pitch
from audiosearch.engine.tunes.predominance import strongest
from audiosearch.engine.tunes.representation import FRAME_MS, POOLED, Tune
from audiosearch.engine.tunes.salience import HOP, SAMPLE_RATE, heard_whole
from audiosearch.engine.tunes.steadiness import held_share, lasting

SHORTEST_S = 3.0
LONGEST_FRAMES = 100
"""20 s of what is voiced."""
QUIETEST = 3e-4
"""Root mean square, of 1 full scale: -70 dBFS."""
SMOOTHED = 9
NARROWEST = 0.8
"""Semitones between the tenth and the ninetieth percentile of a tune, at least."""
STEADIEST_SPEECH = 0.4
"""Steadiness below which it is speech: two utterances in a hundred have more, and all hums
that were tried 0.6 or more."""
LEAST_SURE = 0.45
"""Sureness below which several sounds are none that has a melody: music has more, and a tenth at
least of what is heard of animals, machines and weather less."""
AGREED, PERIODIC = 0.7, 0.9
"""Semitones from the predominant pitch, and periodicity of one voice, or nearly so."""
AGREEING, AGREEING_VOICE = 0.8, 0.68
"""Share of the pitches of one voice that are the predominant ones, of what is not so periodic and
of what is: of several sounds at once the tracker of one voice finds others. A voice by telephone,
without its lowest partials, differs, too."""
STILL = 0.5
"""Semitones between two frames of what sounds strongest and holds its pitch, at most."""


@dataclass(frozen=True)
class TuneQuery(Representation):
    """The pitches of a tune where it is voiced, rests left out, five a second.

    keys: (n,) float32, MIDI numbers with fractions, n at most LONGEST_FRAMES; times_ms: (n,)
    float32, when each is heard, from the beginning of the sound or stretch; seconds: of it; level:
    root mean square where it is loud; steadiness: share of what is voiced that is held notes;
    sureness: of several sounds at once, how likely the one that is asked by leads.
    """

    keys: FloatArray
    times_ms: FloatArray
    seconds: float
    level: float
    steadiness: float = 1.0
    sureness: float = 1.0

    @classmethod
    def of_sound(cls, samples: FloatArray, rate: int) -> "TuneQuery":
        """What is hummed, sung or whistled, or what leads where several sounds are heard at once,
        as in music that is played to the microphone; (n,) mono in -1..1 at `rate` Hz."""
        samples = _at_sample_rate(samples, rate)
        track = track_pitch(samples)
        one_voice = cls._from_track(track, len(samples))
        sound = heard_whole(samples)
        predominant = strongest(sound.salience)
        if not _is_several(track, predominant):
            return one_voice
        still = np.abs(np.diff(predominant[~np.isnan(predominant)])) <= STILL
        steadiness = max(one_voice.steadiness, float(still.mean()) if len(still) else 0.0)
        keys, times = _kept(tune_of(samples).contour_keys)
        sure = sureness(likelihoods(sound.spectra))
        return cls(keys, times, one_voice.seconds, track.level, steadiness, sure)

    @classmethod
    def from_samples(cls, samples: FloatArray, rate: int) -> "TuneQuery":
        """What one voice hums, sings or whistles; (n,) mono in -1..1 at `rate` Hz."""
        samples = _at_sample_rate(samples, rate)
        return cls._from_track(track_pitch(samples), len(samples))

    @classmethod
    def from_tune(cls, tune: Tune, start_ms: int, end_ms: int) -> "TuneQuery":
        """The predominant pitches of a stretch of a recording."""
        stretch = slice(start_ms // FRAME_MS, -(-end_ms // FRAME_MS))
        contour = tune.contour_keys[stretch]
        keys, times = _kept(contour)
        return cls(keys, times, len(contour) * FRAME_MS / 1000, 1.0)

    @classmethod
    def _from_track(cls, track: PitchTrack, samples: int) -> "TuneQuery":
        voiced = lasting(track.voiced)
        heard = np.flatnonzero(voiced)[: LONGEST_FRAMES * POOLED]
        heard = heard[: len(heard) // POOLED * POOLED]
        keys = np.median(_smoothed(track.keys[heard]).reshape(-1, POOLED), axis=1)
        times = heard.reshape(-1, POOLED).mean(axis=1) * (1000 * HOP / SAMPLE_RATE)
        return cls(
            keys.astype(np.float32),
            times.astype(np.float32),
            samples / SAMPLE_RATE,
            track.level,
            held_share(track.keys, voiced),
        )

    @property
    def voiced_seconds(self) -> float:
        """How much of it is voiced."""
        return len(self.keys) * FRAME_MS / 1000

    @property
    def tuning(self) -> float:
        """Semitones in -0.5..0.5 by which it lies above the keys of a piano, on the whole."""
        turn = np.exp(2j * np.pi * self.keys.astype(np.float64)).sum()
        return float(np.angle(turn) / (2 * np.pi)) if len(self.keys) else 0.0


def why_unfit(query: TuneQuery) -> str:
    """Why no tune can be found by this sound, as a sentence; empty when it can be tried."""
    if query.seconds < SHORTEST_S:
        return f"This is too short: hum at least {SHORTEST_S:g} seconds, better ten."
    if query.level < QUIETEST:
        return "This is silence, or too quiet to hear a tune in it."
    if query.voiced_seconds < SHORTEST_S:
        return (
            f"There is too little of a voice or a whistle in this: {query.voiced_seconds:.1f} of "
            f"{query.seconds:.1f} seconds have a pitch, and {SHORTEST_S:g} are needed."
        )
    low, high = np.quantile(query.keys, (0.1, 0.9))
    if high - low < NARROWEST:
        return "This is one constant tone, and no tune."
    if query.steadiness < STEADIEST_SPEECH:
        return "This sounds like speech rather than a tune: its pitch is never held."
    if query.sureness < LEAST_SURE:
        return "Several sounds are heard at once in this, and none of them has a melody."
    return ""


def _at_sample_rate(samples: FloatArray, rate: int) -> FloatArray:
    samples = np.asarray(samples, np.float32)
    if rate == SAMPLE_RATE:
        return samples
    import soxr

    return np.asarray(soxr.resample(samples, rate, SAMPLE_RATE), np.float32)


def _is_several(track: PitchTrack, contour: FloatArray) -> bool:
    """Whether the pitches of one voice are not what sounds predominantly, whatever the octave."""
    frames = min(len(contour), len(track.keys) // POOLED)
    keys = np.median(track.keys[: frames * POOLED].reshape(-1, POOLED), axis=1)
    voiced = track.voiced[: frames * POOLED].reshape(-1, POOLED).mean(axis=1) > 0.5
    both = voiced & ~np.isnan(contour[:frames])
    if both.sum() < 2:
        return False
    apart = (keys[both] - contour[:frames][both] + 6) % 12 - 6
    least = AGREEING_VOICE if track.periodicity >= PERIODIC else AGREEING
    return float((np.abs(apart) <= AGREED).mean()) < least


def _kept(contour: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Its keys and times where something is harmonic, so many as a query keeps."""
    heard = np.flatnonzero(~np.isnan(contour))[:LONGEST_FRAMES]
    return contour[heard], ((heard + 0.5) * FRAME_MS).astype(np.float32)


def _smoothed(keys: FloatArray) -> FloatArray:
    """Running medians: no glide or slip of an octave of less than a tenth of a second is left."""
    around = np.pad(keys, SMOOTHED // 2, mode="edge") if len(keys) else keys
    if len(around) < SMOOTHED:
        return keys
    windows = np.lib.stride_tricks.sliding_window_view(around, SMOOTHED)
    return np.asarray(np.median(windows, axis=1), np.float32)
