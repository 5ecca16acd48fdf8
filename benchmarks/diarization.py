"""Measure who-speaks-when on conversations put together from recordings whose speakers are known.

    python -m benchmarks.diarization SPEAKERS.csv [--conversations 60] [--json]

The CSV has the columns path and speaker. Each conversation has one to six speakers, chosen among
the second half of all, in twelve turns of 2 to 8 s with pauses of up to 0.8 s. `confusion` is the
share of the speech found that is given to a wrong voice, by the best one-to-one matching of voices
to speakers, and `missed` the share of the turns in which no speech was found (pauses within them
are part of the truth); both leave out 0.25 s around every change, as NIST's scoring does. `pauses
heard` is the share of the pauses between turns that is taken for speech.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.voice.diarization import Turn
from audiosearch.engine.voice.speech import RATE
from benchmarks.report import show

STEP_MS = 10
COLLAR_MS = 250
TURNS = 12
MOST = 6
Truth = list[tuple[int, int, str]]
"""(start_ms, end_ms, speaker) of each turn."""
Score = tuple[float, float, float, int]
"""(confusion, missed, pauses heard, voices too many) of one conversation."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", type=Path)
    parser.add_argument("--conversations", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ.update(DATA_DIR=name, DJANGO_SETTINGS_MODULE="audiosearch.settings")
        rows = _measure(options.labels, options.conversations)
    show("who speaks when", rows, as_json=options.json, conversations=options.conversations)


def _measure(labels: Path, conversations: int) -> list[dict[str, Any]]:
    import django

    django.setup()
    from apps.voices.embedding import voice_encoder
    from apps.voices.labels import read_speakers
    from apps.voices.thresholds import point_measured
    from audiosearch.engine.voice.diarization import diarize

    recordings: dict[str, list[Path]] = {}
    for path, speaker in read_speakers(labels):
        recordings.setdefault(speaker, []).append(path)
    rng = np.random.default_rng(7)
    speakers = rng.permutation(sorted(recordings))
    speakers = speakers[len(speakers) // 2 :]
    encoder = voice_encoder()
    likeness = point_measured(encoder.spec.space).likeness
    found: dict[int, list[Score]] = {}
    seconds = heard_s = 0.0
    for number in range(conversations):
        count = 1 + number % MOST
        chosen = [str(one) for one in rng.choice(speakers, count, replace=False)]
        samples, truth = _conversation(rng, chosen, recordings)
        begun = time.perf_counter()
        turns = diarize([samples], encoder, likeness).turns
        seconds += time.perf_counter() - begun
        heard_s += len(samples) / RATE
        found.setdefault(count, []).append(_score(turns, truth))
    rows = [_row(f"{count} speakers", some) for count, some in sorted(found.items())]
    everything = [one for some in found.values() for one in some]
    return [*rows, _row("all", everything) | {"times faster than it plays": heard_s / seconds}]


def _row(name: str, scores: list[Score]) -> dict[str, Any]:
    confusion, missed, pauses, extra = np.array(scores).T
    return {
        "conversations of": name,
        "confusion": f"{confusion.mean():.1%}",
        "missed": f"{missed.mean():.1%}",
        "pauses heard": f"{pauses.mean():.1%}",
        "right number of voices": f"{(extra == 0).mean():.0%}",
        "times faster than it plays": "",
    }


def _conversation(
    rng: np.random.Generator, speakers: list[str], recordings: dict[str, list[Path]]
) -> tuple[FloatArray, Truth]:
    from audiosearch.engine.audio.sandbox import decode

    parts, truth, at = list[FloatArray](), Truth(), 0
    for turn in range(TURNS):
        others = [one for one in speakers if not truth or one != truth[-1][2]] or speakers
        who = speakers[turn] if turn < len(speakers) else str(rng.choice(others))
        whole = decode(recordings[who][rng.integers(len(recordings[who]))], RATE)
        length = min(int(rng.uniform(2, 8) * RATE), len(whole))
        start = int(rng.integers(0, len(whole) - length + 1))
        pause = np.zeros(int(rng.uniform(0, 0.8) * RATE), np.float32)
        parts += [whole[start : start + length], pause]
        truth.append((at * 1000 // RATE, (at + length) * 1000 // RATE, who))
        at += length + len(pause)
    return np.concatenate(parts), truth


def _score(turns: list[Turn], truth: Truth) -> Score:
    steps = truth[-1][1] // STEP_MS + 1
    spoken, heard = np.full(steps, -1), np.full(steps, -1)
    counted = np.ones(steps, dtype=bool)
    names = {name: number for number, name in enumerate(sorted({who for _, _, who in truth}))}
    for start, end, who in truth:
        spoken[start // STEP_MS : end // STEP_MS] = names[who]
        for edge in (start, end):
            counted[max(edge - COLLAR_MS, 0) // STEP_MS : (edge + COLLAR_MS) // STEP_MS] = False
    for turn in turns:
        heard[turn.start_ms // STEP_MS : turn.end_ms // STEP_MS] = turn.voice
    voices = int(heard.max()) + 1
    both = (spoken >= 0) & (heard >= 0) & counted
    together = np.zeros((len(names), max(voices, 1)))
    np.add.at(together, (spoken[both], heard[both]), 1)
    right = together[linear_sum_assignment(-together)].sum()
    missed = ((spoken >= 0) & (heard < 0) & counted).sum() / ((spoken >= 0) & counted).sum()
    pauses = ((spoken < 0) & (heard >= 0)).sum() / max((spoken < 0).sum(), 1)
    return 1 - right / max(both.sum(), 1), float(missed), float(pauses), voices - len(names)


if __name__ == "__main__":
    main()
