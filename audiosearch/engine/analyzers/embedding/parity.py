"""An export takes its place only when it says what PyTorch says."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiosearch.engine.arrays import FloatArray, Progress
from audiosearch.engine.errors import ModelUnavailable

MIN_COSINE = 0.9999
MAX_RELATIVE_DIFFERENCE = 1e-3


@dataclass(frozen=True)
class Agreement:
    """How near one output of the export comes to PyTorch's.

    cosine: the smallest of all sounds; difference: the largest of all values; scale: the largest
    absolute value PyTorch gave.
    """

    cosine: float
    difference: float
    scale: float

    @property
    def faithful(self) -> bool:
        """False for outputs that are not numbers, too."""
        near = self.difference <= MAX_RELATIVE_DIFFERENCE * self.scale
        return near and self.cosine >= MIN_COSINE


def write_faithful(
    path: Path,
    progress: Progress,
    write: Callable[[Path], None],
    compare: Callable[[Path], dict[str, Agreement]],
) -> dict[str, float]:
    """`write` an export to `path`, which changes only once `compare` has found it faithful.

    Returns the smallest cosine and the largest difference of each output. Raises ModelUnavailable
    when the export is not faithful or cannot be written.
    """
    progress("export", 0, 2)
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        write(draft)
        progress("compare with PyTorch", 1, 2)
        found = compare(draft)
        _refuse_unfaithful(found)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise ModelUnavailable(
            f"The export could not be written to {path.parent}: {error.strerror}."
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    progress("compare with PyTorch", 2, 2)
    return {
        f"{name} {measure}": value
        for name, agreement in found.items()
        for measure, value in (
            ("cosine", agreement.cosine),
            ("largest difference", agreement.difference),
        )
    }


def agreement(pairs: list[tuple[FloatArray, FloatArray]]) -> Agreement:
    """Over (ours, theirs) pairs, each (n, values)."""
    ours, theirs = (np.concatenate(side).astype(np.float64) for side in zip(*pairs, strict=True))
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return Agreement(
        cosine=float(np.min((ours * theirs).sum(axis=1) / np.maximum(lengths, 1e-24))),
        difference=float(np.abs(ours - theirs).max()),
        scale=float(np.abs(theirs).max()),
    )


def sounds(rng: np.random.Generator, batch: int, samples: int, rate: int) -> FloatArray:
    """Tones in noise; in a tone alone, most mel bands hold rounding errors, which never agree."""
    hz = rng.uniform(100, 4000, (batch, 1))
    tones = 0.3 * np.sin(2 * np.pi * hz * np.arange(samples) / rate)
    return (tones + rng.normal(0, 0.05, (batch, samples))).astype(np.float32)


def _refuse_unfaithful(found: dict[str, Agreement]) -> None:
    """Raise ModelUnavailable unless the export says what PyTorch says."""
    for name, one in found.items():
        if not one.faithful:
            raise ModelUnavailable(
                f"The export is not faithful to PyTorch, so it is not used: {name} cosine "
                f"{one.cosine:.6f}, largest difference {one.difference:.2e} where the "
                f"largest value is {one.scale:.2e}."
            )
