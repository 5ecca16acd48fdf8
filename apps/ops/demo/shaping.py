"""What every sound is shaped with: noise, sines, envelopes, rooms and a clean finish."""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from scipy import signal

Wave = NDArray[np.float64]
Range = tuple[float, float]
Times = Sequence[float]

RATE = 32_000


def times(seconds: float) -> Wave:
    """The time of every sample, in seconds: (seconds * RATE,)."""
    return np.arange(round(seconds * RATE)) / RATE


def silence(seconds: float) -> Wave:
    """Where pieces are placed."""
    return np.zeros(round(seconds * RATE))


def decay(t: Wave, t60: float) -> Wave:
    """An exponential fall that has lost 60 dB after `t60` seconds; same shape as the times `t`."""
    return np.exp(-6.9 * t / t60)


def bump(t: Wave, attack: float, release: float) -> Wave:
    """A rise over `attack` seconds, a plateau, a fall over the last `release` seconds; 0 to 1."""
    end = t[-1] if len(t) else 0.0
    ramp = np.clip(np.minimum(t / attack, (end - t) / release), 0.0, 1.0)
    return np.sin(0.5 * np.pi * ramp) ** 2


def noise_band(rng: Generator, size: int, low_hz: float, high_hz: float) -> Wave:
    """Noise between two frequencies, (size,), of RMS 1."""
    edges = (low_hz, min(high_hz, 0.49 * RATE))
    sections = signal.butter(2, edges, "bandpass", fs=RATE, output="sos")
    noise = signal.sosfilt(sections, rng.standard_normal(size))
    return noise / (np.sqrt(np.mean(noise**2)) + 1e-12)


def resonate(wave: Wave, hz: float, q: float) -> Wave:
    """What a body that resounds at `hz` makes of it; the higher q, the longer it rings."""
    return signal.lfilter(*signal.iirpeak(hz, q, fs=RATE), wave)


def turns(hz: ArrayLike, t: Wave) -> Wave:
    """Periods since the start, of a constant `hz` or of one frequency per sample."""
    return np.cumsum(np.broadcast_to(np.asarray(hz, dtype=np.float64), t.shape) / RATE)


def sine(hz: ArrayLike, t: Wave) -> Wave:
    """A sine of constant `hz`, or of one frequency per sample."""
    return np.sin(2 * np.pi * turns(hz, t))


def wavetable(gains: ArrayLike) -> Wave:
    """One period, (2048,), whose harmonics have these gains, the fundamental first; peak 1."""
    gains = np.asarray(gains, dtype=np.float64)
    spectrum = np.zeros(1025, dtype=np.complex128)
    # Phases spread as Schroeder does keep a rich spectrum from piling up into one click per period.
    number = np.arange(1, len(gains) + 1)
    spectrum[1 : len(gains) + 1] = gains * np.exp(-1j * np.pi * number**2 / len(gains))
    table = np.fft.irfft(spectrum)
    return table / np.max(np.abs(table))


def play_table(table: Wave, hz: ArrayLike, t: Wave) -> Wave:
    """Play a wavetable at a constant `hz`, or at one frequency per sample."""
    position = (turns(hz, t) % 1.0) * len(table)
    return np.interp(position, np.arange(len(table) + 1), np.append(table, table[0]))


def modes(t: Wave, hz: ArrayLike, t60: ArrayLike, gains: ArrayLike) -> Wave:
    """A struck body: a sum of sines that start together and each die away at their own pace."""
    rows = np.broadcast_arrays(*(np.atleast_1d(each) for each in (hz, t60, gains)))
    return sum(
        (g * np.sin(2 * np.pi * f * t) * decay(t, d) for f, d, g in zip(*rows, strict=True)),
        start=np.zeros_like(t),
    )


def place(canvas: Wave, piece: Wave, at_seconds: float, gain: float = 1.0) -> None:
    """Add `piece` into `canvas` at a moment; what reaches past the end of the canvas is let go."""
    start = max(0, round(at_seconds * RATE))
    stop = min(len(canvas), start + len(piece))
    if stop > start:
        canvas[start:stop] += gain * piece[: stop - start]


def wander(rng: Generator, t: Wave, per_second: float) -> Wave:
    """A slow random curve between 0 and 1, turning about `per_second` times a second."""
    knots = int(t[-1] * per_second) + 3
    curve = np.interp(t * per_second, np.arange(knots), rng.random(knots))
    return 0.5 - 0.5 * np.cos(np.pi * curve)


def room(dry: Wave, rng: Generator, seconds: float, wet: float) -> Wave:
    """`dry` as heard in a room that rings for `seconds`; same length, `wet` is the room's share."""
    t = times(seconds)
    impulse = noise_band(rng, len(t), 200.0, 6000.0) * decay(t, seconds)
    impulse /= np.sqrt(np.sum(impulse**2))
    tail = signal.fftconvolve(dry, impulse)[: len(dry)]
    return (1.0 - wet) * dry + wet * tail


def finish(wave: Wave, peak_db: float, fade_out: float = 0.05) -> NDArray[np.float32]:
    """Take away DC and rumble, fade both ends to exactly zero, and set the peak in dBFS."""
    sections = signal.butter(2, 25.0, "highpass", fs=RATE, output="sos")
    clean = signal.sosfilt(sections, wave)
    clean *= bump(times(len(wave) / RATE), 0.004, fade_out)
    clean[0] = clean[-1] = 0.0
    clean *= 10 ** (peak_db / 20) / np.max(np.abs(clean))
    return clean.astype(np.float32)
