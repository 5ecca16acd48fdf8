"""Scores recordings whose speakers are known against each other, and counts the errors."""

from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from apps.voices.conditions import COHORT_NOISES_DB, WHOLE, Voiceprint
from apps.voices.thresholds import MARGIN
from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.scoring.normalization import LEAST, Scores, score_voices, score_within
from audiosearch.engine.scoring.verification import (
    Point,
    Trials,
    all_pairs,
    decision_at,
    equal_error_rate,
    min_dcf,
    point_for,
)

P_TARGETS = (0.01, 0.001)


@dataclass(frozen=True)
class ErrorRates:
    """Error rates in 0..1 when all recordings are cut, or disturbed, in one way.

    cosine_eer is without a cohort; at `best_threshold` F1 is highest.
    """

    name: str
    eer: float
    cosine_eer: float
    eer_threshold: float
    min_dcf: dict[str, float]
    genuine: int
    impostor: int
    best_threshold: float
    f1: float
    accuracy: float


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
class Judge:
    """How two recordings are scored.

    pairs: those that are compared, all when empty; cohort: (k, d) strangers, if any; owners: (k,)
    names of its speakers when they are those that are compared, so that both speakers of a pair
    are left out.
    """

    pairs: list[tuple[Path, Path, bool]]
    cohort: FloatArray | None
    owners: list[str] | None = None

    def scores(self, voices: list[Voiceprint]) -> Scores:
        """(n, n) of all against all."""
        embeddings = embeddings_of(voices)
        if self.owners is None or self.cohort is None:
            return score_voices(embeddings, embeddings, self.cohort)
        number = {name: place for place, name in enumerate(sorted(set(self.owners)))}
        speakers = np.array([number[one.speaker] for one in voices])
        owners = np.array([number[name] for name in self.owners])
        return score_within(embeddings, speakers, self.cohort, owners)

    def trials(self, voices: list[Voiceprint]) -> Trials:
        """Scores of the pairs. Raises ValueError when there are too few."""
        return self._compared(voices, self.scores(voices))

    def cosines(self, voices: list[Voiceprint]) -> Trials:
        """Cosine similarities of the pairs. Raises ValueError when there are too few."""
        embeddings = embeddings_of(voices)
        return self._compared(voices, score_voices(embeddings, embeddings, None))

    def identify_each(self, voices: list[Voiceprint], points: list[Point]) -> Identified:
        """What identification answers for each recording when all others are enrolled."""
        scores = self.scores(voices)
        np.fill_diagonal(scores, -np.inf)
        owner = np.array([one.speaker for one in voices])
        recordings = Counter(one.speaker for one in voices)
        counts = Counter[str]()
        for one, row in zip(voices, scores, strict=True):
            best = int(np.argmax(row))
            second = row[owner != owner[best]].max()
            point = point_for(points, one.speech_ms)
            near = row[best] >= point.threshold_among(len(recordings))
            accepted = bool(near and row[best] - second >= MARGIN * point.impostor_std)
            if recordings[one.speaker] > 1:
                right = bool(owner[best] == one.speaker)
                counts.update(known=1, nearest=right, right=accepted and right)
                counts.update(wrong=accepted and not right)
            else:
                counts.update(strangers=1, taken=accepted)
        return Identified(**{field.name: int(counts[field.name]) for field in fields(Identified)})

    def _compared(self, voices: list[Voiceprint], scores: Scores) -> Trials:
        """All pairs, or those on the list with speech on both sides."""
        if not self.pairs:
            return all_pairs(scores, [one.speaker for one in voices])
        place = {one.recording: number for number, one in enumerate(voices)}
        found: dict[bool, list[float]] = {True: [], False: []}
        for one, other, same in self.pairs:
            if str(one) in place and str(other) in place:
                found[same].append(float(scores[place[str(one)], place[str(other)]]))
        return Trials(np.array(found[True]), np.array(found[False]))


def error_rates(name: str, trials: Trials, cosines: Trials) -> ErrorRates:
    """Error rates in the condition `name`; cosines: the same pairs without a cohort."""
    eer, threshold = equal_error_rate(trials)
    steps = np.linspace(trials.impostor.mean(), trials.genuine.max(), 200)
    best = max((decision_at(trials, step) for step in steps), key=lambda found: found.f1)
    return ErrorRates(
        name=name,
        eer=eer,
        cosine_eer=equal_error_rate(cosines)[0],
        eer_threshold=threshold,
        min_dcf={str(target): min_dcf(trials, target)[0] for target in P_TARGETS},
        genuine=len(trials.genuine),
        impostor=len(trials.impostor),
        best_threshold=best.threshold,
        f1=best.f1,
        accuracy=best.accuracy,
    )


def embeddings_of(voices: list[Voiceprint]) -> FloatArray:
    """(n, d) unit vectors. Raises ValueError when there is none."""
    if not voices:
        raise ValueError("No speech is found in any of the recordings.")
    return np.stack([one.embedding for one in voices])


def cohort_of(conditions: dict[str, list[Voiceprint]]) -> tuple[FloatArray, list[str]]:
    """(k, d) unit vectors of the speakers in quiet and in noise, and which of them each is."""
    refuse_small_cohort({one.speaker for one in conditions[WHOLE]})
    voices, owners = list[FloatArray](), list[str]()
    for condition in (WHOLE, *COHORT_NOISES_DB):
        embeddings = embeddings_of(conditions[condition])
        owner = np.array([one.speaker for one in conditions[condition]])
        for name in sorted(set(owner.tolist())):
            mean = embeddings[owner == name].mean(axis=0)
            voices.append(mean / np.linalg.norm(mean))
            owners.append(name)
    return np.stack(voices).astype(np.float32), owners


def refuse_small_cohort(speakers: set[str]) -> None:
    """Raise ValueError when so few speakers cannot be a cohort."""
    if len(speakers) < LEAST:
        raise ValueError(f"A cohort takes at least {LEAST} speakers; these are {len(speakers)}.")
