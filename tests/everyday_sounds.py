"""Synthesised sounds in which nobody speaks, which WebRTC's detector takes for speech."""

import numpy as np
from scipy import signal

from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.voice.speech import RATE

SECONDS = 6
TIME = np.arange(SECONDS * RATE) / RATE


def rain() -> FloatArray:
    """Drops on a roof: hiss, and clicks that ring."""
    rng = np.random.default_rng(1)
    drops = (rng.random(len(TIME)) < 0.004) * rng.exponential(1, len(TIME))
    ringing = signal.lfilter(*signal.butter(1, [800, 5000], "band", fs=RATE), drops)
    return np.asarray(0.02 * rng.normal(size=len(TIME)) + 0.3 * ringing, np.float32)


def siren() -> FloatArray:
    hz = 900 + 400 * np.sin(2 * np.pi * 0.5 * TIME)
    return np.asarray(0.3 * signal.sawtooth(2 * np.pi * np.cumsum(hz) / RATE), np.float32)


def telephone() -> FloatArray:
    """A bell that rings for a second, and waits for one."""
    rung = np.sin(2 * np.pi * 440 * TIME) + np.sin(2 * np.pi * 480 * TIME)
    beaten = rung * (1 + signal.square(2 * np.pi * 20 * TIME)) * (TIME % 2 < 1)
    return np.asarray(0.1 * beaten, np.float32)


def engine() -> FloatArray:
    """Harmonics of an unsteady 80 Hz through a body that resonates, as a chainsaw has."""
    rng = np.random.default_rng(2)
    hz = 80 * (1 + 0.1 * np.sin(2 * np.pi * 0.3 * TIME) + 0.02 * rng.normal(size=len(TIME)))
    pulses = signal.sawtooth(2 * np.pi * np.cumsum(hz) / RATE) + 0.3 * rng.normal(size=len(TIME))
    body = signal.butter(1, [300, 2500], "band", fs=RATE)
    return np.asarray(0.2 * signal.lfilter(*body, pulses), np.float32)


def noise() -> FloatArray:
    return np.random.default_rng(3).normal(0, 0.1, len(TIME)).astype(np.float32)


def surf() -> FloatArray:
    """Waves that break every three seconds."""
    swell = 0.55 - 0.45 * np.cos(2 * np.pi * TIME / 3)
    return np.asarray(swell * noise(), np.float32)
