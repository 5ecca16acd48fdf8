"""The sounds of `benchmarks.recognition`: songs, strangers, and what is done to excerpts."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import soxr

from apps.ops.demo import instruments, tunes
from apps.ops.demo.melody import SCALES, Song
from apps.ops.demo.shaping import RATE, Wave
from apps.ops.demo.things import play_pattern
from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.audio.sandbox import decode
from audiosearch.engine.scoring.worsening import Condition, Worsening

SHARED = Path(__file__).parents[2] / "shared" / "data"
DRUMS = (("KkLl", 0.3), ("SsMTt", 0.2), ("HhhBp", 0.5))
"""Strokes of things.play_pattern, and the share of steps at which one of them is played."""
TUNINGS = 0.97, 1.03
LEADS = (tunes.guitar, tunes.organ, tunes.music_box, tunes.flute, tunes.arpeggio, tunes.choir)


def rendered_song(seed: int) -> FloatArray:
    """(n,) float32 mono at SAMPLE_RATE, half a minute of one or two instruments and often drums.

    Each song has a tuning of its own, or the synthesiser's arpeggios would hold the same notes, to
    the sample, wherever two songs have one key.
    """
    rng = np.random.default_rng((14, seed))
    bars = int(rng.integers(10, 16))
    song = Song(
        tonic=int(rng.integers(52, 70)),
        scale=str(rng.choice(list(SCALES))),
        progression="0" + "".join(str(rng.integers(0, 7)) for _ in range(bars - 1)),
        beats_per_minute=float(rng.uniform(75, 150)),
    )
    parts = [LEADS[number] for number in rng.choice(len(LEADS), rng.integers(1, 3), replace=False)]
    if rng.random() < 0.7:
        parts += [bass, drums]
    waves = [part(rng, song) * rng.uniform(0.5, 1) for part in parts]
    wave = np.sum([one[: min(map(len, waves))] for one in waves], axis=0)
    wave = soxr.resample(wave.astype(np.float32), RATE, SAMPLE_RATE)
    wave = np.asarray(wave / np.abs(wave).max() * 0.7, np.float32)
    return faster(wave, float(np.random.default_rng((15, seed)).uniform(*TUNINGS)))


def bass(rng: np.random.Generator, song: Song) -> Wave:
    """A bass line of its own under the chords."""
    riff = rng.integers(0, 4, rng.integers(3, 9)).tolist()
    return tunes.perform(rng, song, instruments.bass, song.broken_chords(riff, 0.5, -1))


def drums(rng: np.random.Generator, song: Song) -> Wave:
    """A beat of its own, on drums that are tuned, lest songs share what is no tune of theirs.

    Two songs with one drum machine and one pattern hold the same recording of it, in truth.
    """
    tuning = float(rng.uniform(0.8, 1.25))
    beat = [_pattern(rng, sounds, share) for sounds, share in DRUMS]
    step = song.beat_seconds / 4 * tuning
    wave = play_pattern(rng, song.seconds * tuning, step, *beat)
    return np.asarray(soxr.resample(wave, RATE * tuning, RATE))


def _pattern(rng: np.random.Generator, sounds: str, share: float) -> str:
    """One or two bars of sixteenths, of which a share is played."""
    kit = rng.choice(list(sounds), 2)
    played = rng.random(rng.choice([12, 16, 32])) < share * rng.uniform(0.6, 1.4)
    return "".join(str(rng.choice(kit)) if one else "." for one in played)


def real_music(folder: Path = SHARED / "music") -> dict[str, FloatArray]:
    """Name to samples of the recordings of music that are there, a minute or so each."""
    return _read(path for path in sorted(folder.glob("*.ogg")))


def strange_sounds(count: int) -> list[tuple[str, FloatArray]]:
    """At most `count` sounds and voices that are no music, of at least 3 s, and whose they are.

    That is the reader, or the recording that ESC-10 cut several sounds from.
    """
    paths = [
        *sorted((SHARED / "esc10").rglob("*.ogg")),
        *sorted((SHARED / "librispeech").rglob("*.flac")),
    ]
    chosen = np.random.default_rng(3).permutation(len(paths))[: count * 2]
    found = _read(paths[number] for number in chosen)
    long = {name: one for name, one in found.items() if len(one) >= 3 * SAMPLE_RATE}
    return [(_whose(name), one) for name, one in long.items()][:count]


def _whose(name: str) -> str:
    """Of 83-11691-0000 the reader, of 2-37806-B the recording."""
    first, second, third = name.split("-")[:3]
    return f"reader {first}" if third.isdigit() else f"recording {second}"


def _read(paths: Iterable[Path]) -> dict[str, FloatArray]:
    return {path.stem: decode(path, SAMPLE_RATE) for path in paths}


@dataclass(frozen=True)
class BenchmarkCondition(Condition):
    """And Opus at 16 kbit/s; changed: what is not as it was recorded, by up to RATES[changed]."""

    opus: bool = False
    changed: str = ""


CONDITIONS = (
    BenchmarkCondition("clean"),
    BenchmarkCondition("SNR 10", 10),
    BenchmarkCondition("SNR 5", 5),
    BenchmarkCondition("SNR 0", 0),
    BenchmarkCondition("SNR -5", -5),
    BenchmarkCondition("phone 10", 10, phone=True),
    BenchmarkCondition("phone 5", 5, phone=True),
    BenchmarkCondition("phone 0", 0, phone=True),
    BenchmarkCondition("Opus 16k, 10", 10, opus=True),
)
RATES = {"speed": 0.07, "stretch": 0.06, "pitch": 0.07}
LADDER_CONDITIONS = (
    *(BenchmarkCondition(f"{name}, clean", changed=name) for name in RATES),
    *(BenchmarkCondition(f"{name}, SNR 10", 10, changed=name) for name in RATES),
)


class BenchmarkWorsening(Worsening):
    """Changes speed and pitch before, and codes by Opus after what else is done to an excerpt."""

    def __call__(self, excerpt: FloatArray, condition: Condition) -> FloatArray:
        assert isinstance(condition, BenchmarkCondition)
        if condition.changed:
            excerpt = self._changed(excerpt, condition.changed)
        made = super().__call__(excerpt, condition)
        return opus(made, 16_000) if condition.opus else made

    def _changed(self, samples: FloatArray, what: str) -> FloatArray:
        """At another rate, of 1 % at least, and not on the ladder's rungs in particular."""
        rate = 1 + self._rng.choice([-1, 1]) * self._rng.uniform(0.01, RATES[what])
        if what == "speed":
            return faster(samples, rate)
        from librosa.effects import time_stretch  # of requirements-torch.txt

        if what == "stretch":
            return np.asarray(time_stretch(samples, rate=rate), np.float32)
        longer = np.asarray(time_stretch(samples, rate=1 / rate), np.float32)
        return faster(longer, rate)


def opus(samples: FloatArray, bit_rate: int) -> FloatArray:
    """The samples as they come back from Opus at this bit rate."""
    wide = soxr.resample(samples, SAMPLE_RATE, 48_000).astype(np.float32)
    held = BytesIO()
    with av.open(held, "w", format="ogg") as container:
        stream = container.add_stream(
            "libopus", rate=48_000, layout="mono", options={"b": str(bit_rate)}
        )
        frame = av.AudioFrame.from_ndarray(wide[None], format="flt", layout="mono")
        frame.sample_rate, frame.time_base = 48_000, Fraction(1, 48_000)
        resampler = av.AudioResampler(
            format=stream.format, layout="mono", rate=48_000, frame_size=960
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    held.seek(0)
    with av.open(held, "r") as coded:
        parts = [frame.to_ndarray().reshape(1, -1) for frame in coded.decode(audio=0)]
    back = np.concatenate(parts, axis=1)[0].astype(np.float32)
    return np.asarray(soxr.resample(back, 48_000, SAMPLE_RATE), np.float32)[: len(samples)]


def faster(samples: FloatArray, speed: float) -> FloatArray:
    """Played so much faster, and higher with it."""
    return np.asarray(soxr.resample(samples, SAMPLE_RATE * speed, SAMPLE_RATE), np.float32)
