"""How well the voice encoder tells speakers apart, on recordings whose speakers are known."""

import csv
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.db import transaction

from apps.voices.models import OperatingPoint
from apps.voices.thresholds import MARGIN
from audiosearch.engine.audio import decode
from audiosearch.engine.encoders import load_encoder
from audiosearch.engine.encoders.base import Encoder, FloatArray
from audiosearch.engine.errors import NoSpeech, SilentAudio
from audiosearch.engine.speech import RATE, find_speech
from audiosearch.engine.verification import (
    Point,
    Trials,
    all_pairs,
    decision_at,
    equal_error_rate,
    min_dcf,
    point_at,
)

LENGTHS_MS = (500, 1_000, 2_000, 3_000, 5_000)
SNRS_DB = (0, 5, 10, 20)
P_TARGETS = (0.01, 0.001)
NOBODY_S = 60
SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a"}


@dataclass(frozen=True)
class Labelled:
    """A recording and who speaks in it."""

    path: Path
    speaker: str


@dataclass(frozen=True)
class Condition:
    """Error rates in 0..1 when all recordings are cut, or disturbed, in one way.

    At `best_threshold` F1 is highest.
    """

    name: str
    eer: float
    eer_threshold: float
    min_dcf: dict[str, float]
    genuine: int
    impostor: int
    best_threshold: float
    f1: float
    accuracy: float


@dataclass(frozen=True)
class Rejected:
    """Sounds that are nobody's voice, against all speakers: how many were taken for one.

    silent: without anything that could be speech; nearest: the best score of the others.
    """

    files: int
    silent: int
    accepted: int
    nearest: float


@dataclass(frozen=True)
class Identified:
    """Each recording in turn asked for among all others, by the threshold for so many speakers.

    known: recordings whose speaker has others; nearest: of those, the right speaker is nearest;
    right and wrong: accepted as the right and as another speaker. strangers: recordings whose
    speaker has no other; taken: of those, accepted as somebody.
    """

    known: int
    nearest: int
    right: int
    wrong: int
    strangers: int
    taken: int


@dataclass(frozen=True)
class SpeakerEvaluation:
    """conditions: whole recordings first; points: what scores mean by length; trials: whole ones.

    unheard: recordings in which no speech was found, left out.
    """

    space: str
    recordings: int
    speakers: int
    unheard: list[str]
    conditions: list[Condition]
    points: list[Point]
    far_target: float
    trials: Trials
    identified: Identified
    rejected: Rejected | None

    def as_json(self) -> dict[str, Any]:
        data = {key: value for key, value in vars(self).items() if key != "trials"}
        data["conditions"] = [asdict(one) for one in self.conditions]
        data["points"] = [asdict(one) for one in self.points]
        data["identified"] = asdict(self.identified)
        data["rejected"] = asdict(self.rejected) if self.rejected else None
        return data


def read_speakers(path: Path) -> list[Labelled]:
    """Rows of a CSV with the columns path (relative to it) and speaker. Raises ValueError."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"path", "speaker"} <= set(rows[0]):
        raise ValueError(f"{path} must have the columns path and speaker.")
    return [Labelled(path.parent / row["path"], row["speaker"]) for row in rows]


def evaluate_speakers(
    labelled: list[Labelled],
    *,
    far_target: float,
    nobody: Path | None = None,
    progress: Callable[[str, int, int], None],
) -> SpeakerEvaluation:
    """Compare every two recordings, whole, cut short and in noise.

    Both sides of a comparison are cut or disturbed alike. Cuts are the first so many ms of speech;
    noise is white, at a ratio to the mean energy of the recording, before speech is sought.
    `nobody`: a folder of sounds that must not be taken for any of the speakers.
    Raises AudioError for a file that cannot be read, ValueError when there are too few pairs.
    """
    encoder = load_encoder(
        settings.VOICE_ENCODER, settings.MODELS_DIR, threads=settings.ENCODER_THREADS
    )
    samples = []
    for number, one in enumerate(labelled):
        progress("decode", number, len(labelled))
        samples.append(decode(one.path, RATE))
    spoken, names, unheard = _spoken(samples, labelled)
    whole = _trials(encoder, spoken, names)
    conditions, points = [_condition("whole", whole)], []
    for number, length_ms in enumerate(LENGTHS_MS):
        progress("cut", number, len(LENGTHS_MS))
        count = length_ms * RATE // 1000
        trials = _trials(encoder, [one[:count] for one in spoken], names)
        conditions.append(_condition(f"{length_ms / 1000:g} s", trials))
        points.append(point_at(trials, min_ms=length_ms, far=far_target))
    for number, snr_db in enumerate(SNRS_DB):
        progress("disturb", number, len(SNRS_DB))
        noisy, labels, _ = _spoken(_disturbed(samples, snr_db), labelled)
        conditions.append(_condition(f"noise, {snr_db} dB", _trials(encoder, noisy, labels)))
    longest = int(np.percentile([len(one) for one in spoken], 10)) * 1000 // RATE
    if longest > LENGTHS_MS[-1]:
        points.append(point_at(whole, min_ms=longest, far=far_target))
    return SpeakerEvaluation(
        space=encoder.spec.space,
        recordings=len(spoken),
        speakers=len(set(names)),
        unheard=unheard,
        conditions=conditions,
        points=points,
        far_target=far_target,
        trials=whole,
        identified=_identified(encoder, spoken, names, points),
        rejected=_rejected(encoder, spoken, names, points, nobody) if nobody else None,
    )


@transaction.atomic
def apply_points(found: SpeakerEvaluation, source: str) -> OperatingPoint:
    """Let what was measured decide from now on; what decided before is kept in the list."""
    OperatingPoint.objects.filter(space=found.space, in_force=True).update(in_force=False)
    return OperatingPoint.objects.create(
        space=found.space,
        far_target=found.far_target,
        points=[asdict(point) for point in found.points],
        source=source,
        genuine=len(found.trials.genuine),
        impostor=len(found.trials.impostor),
        in_force=True,
    )


def _spoken(
    samples: list[FloatArray], labelled: list[Labelled]
) -> tuple[list[FloatArray], list[str], list[str]]:
    """Speech of each recording that has some, its speaker, and the names of those without."""
    spoken, names, unheard = [], [], []
    for one, label in zip(samples, labelled, strict=True):
        try:
            spoken.append(find_speech(one).samples)
            names.append(label.speaker)
        except NoSpeech:
            unheard.append(label.path.name)
    return spoken, names, unheard


def _trials(encoder: Encoder, spoken: list[FloatArray], names: list[str]) -> Trials:
    embeddings = np.stack([encoder.encode(one[None]).embeddings[0] for one in spoken])
    return all_pairs(embeddings, names)


def _identified(
    encoder: Encoder, spoken: list[FloatArray], names: list[str], points: list[Point]
) -> Identified:
    embeddings = np.stack([encoder.encode(one[None]).embeddings[0] for one in spoken])
    scores = embeddings @ embeddings.T
    np.fill_diagonal(scores, -np.inf)
    owner = np.array(names)
    counts = dict.fromkeys(("known", "nearest", "right", "wrong", "strangers", "taken"), 0)
    for own, row, samples in zip(names, scores, spoken, strict=True):
        best = int(np.argmax(row))
        second = row[owner != owner[best]].max()
        threshold = _point_for(points, len(samples)).threshold_among(len(set(names)))
        accepted = bool(row[best] >= threshold and row[best] - second >= MARGIN)
        if names.count(own) > 1:
            counts["known"] += 1
            counts["nearest"] += owner[best] == own
            counts["right"] += accepted and owner[best] == own
            counts["wrong"] += accepted and owner[best] != own
        else:
            counts["strangers"] += 1
            counts["taken"] += accepted
    return Identified(**{name: int(count) for name, count in counts.items()})


def _point_for(points: list[Point], samples: int) -> Point:
    fitting = [one for one in points if one.min_ms * RATE <= samples * 1000]
    return fitting[-1] if fitting else points[0]


def _rejected(
    encoder: Encoder,
    spoken: list[FloatArray],
    names: list[str],
    points: list[Point],
    folder: Path,
) -> Rejected:
    known = np.stack([encoder.encode(one[None]).embeddings[0] for one in spoken])
    files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
    silent, accepted, nearest = 0, 0, -1.0
    for path in files:
        try:
            samples = find_speech(decode(path, RATE, end_ms=NOBODY_S * 1000)).samples
        except (NoSpeech, SilentAudio):
            silent += 1
            continue
        score = float((known @ encoder.encode(samples[None]).embeddings[0]).max())
        point = _point_for(points, len(samples))
        accepted += score >= point.threshold_among(len(set(names)))
        nearest = max(nearest, score)
    return Rejected(len(files), silent, accepted, nearest)


def _disturbed(samples: list[FloatArray], snr_db: int) -> list[FloatArray]:
    rng = np.random.default_rng(snr_db)
    noisy = []
    for one in samples:
        level = np.sqrt(np.mean(np.square(one, dtype=np.float64))) * 10 ** (-snr_db / 20)
        noisy.append((one + rng.normal(0, level, len(one))).astype(np.float32))
    return noisy


def _condition(name: str, trials: Trials) -> Condition:
    eer, threshold = equal_error_rate(trials)
    steps = np.linspace(trials.impostor.mean(), trials.genuine.max(), 200)
    best = max((decision_at(trials, step) for step in steps), key=lambda found: found.f1)
    return Condition(
        name=name,
        eer=eer,
        eer_threshold=threshold,
        min_dcf={str(target): min_dcf(trials, target)[0] for target in P_TARGETS},
        genuine=len(trials.genuine),
        impostor=len(trials.impostor),
        best_threshold=best.threshold,
        f1=best.f1,
        accuracy=best.accuracy,
    )
