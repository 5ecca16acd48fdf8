"""The curves of a speaker evaluation, as SVG and PNG files."""

from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from apps.voices.judge import P_TARGETS
from audiosearch.engine.extras import needs
from audiosearch.engine.scoring.verification import Trials, curve, decision_at

DET_TICKS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
STEPS = 400


def figures(trials: Trials) -> Iterator[tuple[str, Any]]:
    """Figures of matplotlib by name: DET curve, rates by threshold, and histograms of scores.

    Raises ExtraMissing where matplotlib is not installed; only here it is needed.
    """
    with needs("plots"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    for name, draw in {"det": _det, "thresholds": _thresholds, "scores": _scores}.items():
        figure = Figure(figsize=(7, 5), layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.add_subplot(), trials)
        yield name, figure


def write_plots(trials: Trials, folder: Path) -> list[Path]:
    """All of them as SVG and PNG files; the paths written."""
    written = []
    for name, figure in figures(trials):
        for suffix in ("svg", "png"):
            path = folder / f"{name}.{suffix}"
            figure.savefig(path, dpi=120)
            written.append(path)
    return written


def _det(axes: Any, trials: Trials) -> None:
    """Martin et al., "The DET curve in assessment of detection task performance", 1997."""
    found = curve(trials)
    deviate = np.vectorize(NormalDist().inv_cdf)
    low = DET_TICKS[0] / 2
    axes.plot(*(deviate(np.clip(rate, low, 1 - low)) for rate in (found.far, found.frr)))
    ticks = deviate(np.array(DET_TICKS))
    labels = [f"{tick:.1%}" for tick in DET_TICKS]
    axes.set_xticks(ticks, labels, rotation=45)
    axes.set_yticks(ticks, labels)
    axes.set(xlim=deviate([low, 0.5]), ylim=deviate([low, 0.5]))
    axes.plot(ticks, ticks, linestyle=":", linewidth=1)
    axes.set(xlabel="false accepts", ylabel="false rejects", title="Detection error trade-off")
    axes.grid(alpha=0.3)


def _thresholds(axes: Any, trials: Trials) -> None:
    scores = np.concatenate([trials.genuine, trials.impostor])
    steps = np.linspace(scores.min(), scores.max(), STEPS)
    found = [decision_at(trials, step) for step in steps]
    for name in ("far", "frr", "precision", "recall", "f1"):
        label = name.upper() if len(name) <= 3 else name
        axes.plot(steps, [getattr(one, name) for one in found], label=label)
    for target in P_TARGETS:
        costs = [(target * one.frr + (1 - target) * one.far) / target for one in found]
        axes.plot(steps, np.minimum(costs, 1.5), linestyle="--", label=f"DCF, P_target {target}")
    axes.set(xlabel="threshold", ylim=(0, 1.05), title="Rates by threshold")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)


def _scores(axes: Any, trials: Trials) -> None:
    scores = np.concatenate([trials.genuine, trials.impostor])
    bins = np.linspace(scores.min(), scores.max(), 61)
    for name, scores in (("two voices", trials.impostor), ("one voice", trials.genuine)):
        axes.hist(scores, bins, density=True, alpha=0.6, label=f"{name} ({len(scores)})")
    axes.set(xlabel="score", ylabel="density", title="Scores")
    axes.legend()
