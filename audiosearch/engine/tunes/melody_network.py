"""Which pitch has the melody, as a network hears it that was trained on made songs.

What sounds is one thing, and what of it leads another: of several voices, who sings along hears
one. Harmonics are stacked as channels after R. Bittner, B. McFee, J. Salamon, P. Li and J. Bello,
Deep salience representations for F0 estimation in polyphonic music, ISMIR 2017; layers that reach
ever farther in time and pitch decide. 35,644 weights, by `benchmarks/melody_training.py`.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from audiosearch.engine.analyzers.sessions import open_session
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.salience import BINS

MODEL = Path(__file__).with_name("melody.onnx")
INPUT = "spectra"
REACH = 17
"""Tenths of a second around a moment that decide about it."""
RESTING = 0.5
"""Likelihood that nothing leads, from which on it is so."""
NEAR = 2
"""Thirds of a semitone from a pitch that are taken for it."""


def likelihoods(spectra: FloatArray) -> FloatArray:
    """(n, BINS + 1) float32: of each tenth of a second how likely each pitch leads, and in the last
    column that none does; they sum to 1.

    spectra: (n, 2, PITCHES), as `salience.heard` gives them. Raises ModelUnavailable when its file
    is damaged.
    """
    return likelihoods_of(MODEL, spectra)


def sureness(leading: FloatArray) -> float:
    """Mean likelihood of the likeliest pitch, within two thirds of a semitone, where any leads; 0
    where none does. leading: (n, BINS + 1), from `likelihoods`."""
    pitches = leading[leading[:, BINS] < RESTING, :BINS]
    if not len(pitches):
        return 0.0
    around = np.pad(pitches, ((0, 0), (NEAR, NEAR)))
    near = np.lib.stride_tricks.sliding_window_view(around, 2 * NEAR + 1, axis=1).sum(axis=2)
    return float(near[np.arange(len(pitches)), pitches.argmax(axis=1)].mean())


def likelihoods_of(model: Path, spectra: FloatArray) -> FloatArray:
    """The same by the network in this file."""
    (found,) = _session(model).run(None, {INPUT: spectra.swapaxes(0, 1)[None]})
    return np.asarray(found[0], np.float32)


@cache
def _session(model: Path) -> Any:
    return open_session(model, 1)
