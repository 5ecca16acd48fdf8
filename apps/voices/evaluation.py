"""How well the voice encoder tells speakers apart, on recordings whose speakers are known."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from django.db import transaction

from apps.voices.hearing import LONGEST_S, voice_encoder
from apps.voices.labels import Labelled
from apps.voices.models import OperatingPoint, too_few_pairs
from apps.voices.thresholds import MARGIN, likeness_by, pack_cohort, point_in_force
from audiosearch.engine.analyzers.base import Encoder, FloatArray
from audiosearch.engine.audio.formats import SUFFIXES
from audiosearch.engine.audio.sandbox import decode
from audiosearch.engine.errors import ModelUnavailable, NoSpeech, SilentAudio
from audiosearch.engine.scoring.normalization import LEAST, Scores, score_voices, score_within
from audiosearch.engine.scoring.verification import (
    Point,
    Trials,
    all_pairs,
    decision_at,
    equal_error_rate,
    min_dcf,
    point_at,
    point_for,
)
from audiosearch.engine.voice.diarization import Likeness
from audiosearch.engine.voice.speech import RATE, find_speech

LENGTHS_MS = (500, 1_000, 2_000, 3_000, 5_000)
SNRS_DB = (0, 5, 10, 20)
COHORT_SNRS_DB = (0, 10, 20)
P_TARGETS = (0.01, 0.001)
NOBODY_S = 60


@dataclass(frozen=True)
class Spoken:
    """A recording: who speaks in it, and what is in it, (n,) float32 at 16 kHz."""

    name: str
    speaker: str
    samples: FloatArray


@dataclass(frozen=True)
class Condition:
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
class Rejected:
    """Sounds that are nobody's voice, against all speakers: how many were taken for one.

    silent: without anything that could be speech; nearest: the best score of the others.
    """

    files: int
    silent: int
    accepted: int
    nearest: float | None


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

    unheard: recordings in which no speech was found, left out; likeness: for who speaks when;
    cohort: (k, d) strangers that scores are told by, if any.
    """

    space: str
    recordings: int
    speakers: int
    unheard: list[str]
    conditions: list[Condition]
    points: list[Point]
    far_target: float
    trials: Trials
    likeness: Likeness
    cohort: FloatArray | None
    identified: Identified | None
    rejected: Rejected | None

    def as_json(self) -> dict[str, Any]:
        left_out = ("trials", "cohort")
        data = {key: value for key, value in vars(self).items() if key not in left_out}
        data["likeness"] = asdict(self.likeness)
        data["dimension"] = 0 if self.cohort is None else self.cohort.shape[1]
        data["conditions"] = [asdict(one) for one in self.conditions]
        data["points"] = [asdict(one) for one in self.points]
        data["identified"] = asdict(self.identified) if self.identified else None
        data["rejected"] = asdict(self.rejected) if self.rejected else None
        return data


def evaluate_speakers(
    labelled: Labelled,
    *,
    far_target: float,
    encoder: Encoder | None = None,
    cohort: bool = False,
    nobody: Path | None = None,
    progress: Callable[[str, int, int], None],
) -> SpeakerEvaluation:
    """Compare every two recordings, or the pairs of a trial list: whole, cut short and in noise.

    Both sides of a comparison are cut or disturbed alike. Cuts are the first so many ms of speech;
    noise is white, at a ratio to the mean energy of the recording, before speech is sought.
    encoder: the one in use when left out. cohort: tell scores by the speakers of this data, those
    of each pair left out; else by the cohort in force. nobody: a folder of sounds that must not be
    taken for any of the speakers.
    Raises AudioError for a file that cannot be read, ValueError when there are too few pairs.
    """
    encoder = encoder or voice_encoder()
    recordings = []
    for number, (path, speaker) in enumerate(labelled.recordings):
        progress("decode", number, len(labelled.recordings))
        samples = decode(path, RATE, end_ms=LONGEST_S * 1000)
        recordings.append(Spoken(str(path), speaker, samples))
    spoken = _speech_of(recordings)
    heard = {one.name for one in spoken}
    unheard = [one.name for one in recordings if one.name not in heard]
    recordings = [one for one in recordings if one.name in heard]
    known = _embeddings(encoder, spoken, partial(progress, "whole"))
    if cohort:
        judge = Judge(labelled, *_own_cohort(encoder, recordings, progress))
    else:
        judge = Judge(labelled, _cohort_in_force(encoder.spec.space), None)
    whole = judge.trials(spoken, known)
    conditions = [_condition("whole", whole, judge.cosines(spoken, known))]
    points, cosine_points = [], []
    for length_ms in LENGTHS_MS:
        count = length_ms * RATE // 1000
        cut = [replace(one, samples=one.samples[:count]) for one in spoken]
        embeddings = _embeddings(encoder, cut, partial(progress, f"cut to {length_ms} ms"))
        trials, cosines = judge.trials(cut, embeddings), judge.cosines(cut, embeddings)
        conditions.append(_condition(f"{length_ms / 1000:g} s", trials, cosines))
        points.append(point_at(trials, min_ms=length_ms, far=far_target))
        cosine_points.append(point_at(cosines, min_ms=length_ms, far=far_target))
    for snr_db in SNRS_DB:
        noisy = _speech_of(_disturbed(recordings, snr_db))
        embeddings = _embeddings(encoder, noisy, partial(progress, f"noise at {snr_db} dB"))
        trials, cosines = judge.trials(noisy, embeddings), judge.cosines(noisy, embeddings)
        conditions.append(_condition(f"noise, {snr_db} dB", trials, cosines))
    return SpeakerEvaluation(
        space=encoder.spec.space,
        recordings=len(spoken),
        speakers=len({one.speaker for one in spoken}),
        unheard=unheard,
        conditions=conditions,
        points=points,
        far_target=far_target,
        trials=whole,
        likeness=likeness_by(cosine_points),
        cohort=judge.cohort,
        identified=None if labelled.pairs else _identified(judge, spoken, known, points),
        rejected=_rejected(encoder, judge, known, points, nobody) if nobody else None,
    )


def apply_points(found: SpeakerEvaluation, source: str) -> OperatingPoint:
    """Let what was measured decide from now on; what decided before is kept in the list."""
    return let_decide(
        space=found.space,
        report=found.as_json(),
        source=source,
        genuine=len(found.trials.genuine),
        impostor=len(found.trials.impostor),
        cohort=b"" if found.cohort is None else pack_cohort(found.cohort),
    )


@transaction.atomic
def let_decide(
    *,
    space: str,
    report: dict[str, Any],
    source: str,
    genuine: int,
    impostor: int,
    cohort: bytes,
) -> OperatingPoint:
    """Put the points of a report in force. Raises ValueError when they rest on too few pairs."""
    if problem := too_few_pairs(impostor, report["far_target"]):
        raise ValueError(problem)
    OperatingPoint.objects.filter(space=space, in_force=True).update(in_force=False)
    return OperatingPoint.objects.create(
        space=space,
        far_target=report["far_target"],
        points=report["points"],
        likeness=report["likeness"],
        source=source,
        genuine=genuine,
        impostor=impostor,
        cohort=cohort,
        dimension=report["dimension"],
        in_force=True,
    )


def _speech_of(recordings: list[Spoken]) -> list[Spoken]:
    """What is spoken in each; those without speech are left out."""
    spoken = []
    for one in recordings:
        with suppress(NoSpeech):
            spoken.append(replace(one, samples=find_speech(one.samples).samples))
    return spoken


def _embeddings(
    encoder: Encoder, spoken: list[Spoken], progress: Callable[[int, int], None]
) -> FloatArray:
    """(n, d) unit vectors."""
    found = []
    for number, one in enumerate(spoken):
        progress(number, len(spoken))
        found.append(encoder.encode(one.samples[None]).embeddings[0])
    return np.stack(found)


@dataclass(frozen=True)
class Judge:
    """How two recordings are scored.

    cohort: (k, d) strangers, if any; owners: (k,) names of its speakers when they are those that
    are compared, so that both speakers of a pair are left out.
    """

    labelled: Labelled
    cohort: FloatArray | None
    owners: list[str] | None

    def scores(self, spoken: list[Spoken], embeddings: FloatArray) -> Scores:
        """(n, n) of all against all."""
        if self.owners is None or self.cohort is None:
            return score_voices(embeddings, embeddings, self.cohort)
        number = {name: place for place, name in enumerate(sorted(set(self.owners)))}
        speakers = np.array([number[one.speaker] for one in spoken])
        owners = np.array([number[name] for name in self.owners])
        return score_within(embeddings, speakers, self.cohort, owners)

    def trials(self, spoken: list[Spoken], embeddings: FloatArray) -> Trials:
        return self._compared(spoken, self.scores(spoken, embeddings))

    def cosines(self, spoken: list[Spoken], embeddings: FloatArray) -> Trials:
        return self._compared(spoken, score_voices(embeddings, embeddings, None))

    def _compared(self, spoken: list[Spoken], scores: Scores) -> Trials:
        """All pairs, or those on the list whose both sides were heard."""
        if not self.labelled.pairs:
            return all_pairs(scores, [one.speaker for one in spoken])
        place = {one.name: number for number, one in enumerate(spoken)}
        found: dict[bool, list[float]] = {True: [], False: []}
        for one, other, same in self.labelled.pairs:
            if str(one) in place and str(other) in place:
                found[same].append(float(scores[place[str(one)], place[str(other)]]))
        return Trials(np.array(found[True]), np.array(found[False]))


def _cohort_in_force(space: str) -> FloatArray | None:
    try:
        return point_in_force(space).cohort
    except ModelUnavailable:
        return None


def _own_cohort(
    encoder: Encoder, recordings: list[Spoken], progress: Callable[[str, int, int], None]
) -> tuple[FloatArray, list[str]]:
    """(k, d) unit vectors of the speakers in quiet and in noise, and which of them each is."""
    count = len({one.speaker for one in recordings})
    if count < LEAST:
        raise ValueError(f"A cohort takes at least {LEAST} speakers; these are {count}.")
    voices, owners = list[FloatArray](), list[str]()
    for disturbed in (recordings, *(_disturbed(recordings, snr, 1) for snr in COHORT_SNRS_DB)):
        spoken = _speech_of(disturbed)
        embeddings = _embeddings(encoder, spoken, partial(progress, "cohort"))
        owner = np.array([one.speaker for one in spoken])
        for name in sorted(set(owner.tolist())):
            mean = embeddings[owner == name].mean(axis=0)
            voices.append(mean / np.linalg.norm(mean))
            owners.append(name)
    return np.stack(voices).astype(np.float32), owners


def _identified(
    judge: Judge, spoken: list[Spoken], known: FloatArray, points: list[Point]
) -> Identified:
    scores = judge.scores(spoken, known)
    np.fill_diagonal(scores, -np.inf)
    owner = np.array([one.speaker for one in spoken])
    recordings = Counter(one.speaker for one in spoken)
    counts = Counter[str]()
    for one, row in zip(spoken, scores, strict=True):
        best = int(np.argmax(row))
        second = row[owner != owner[best]].max()
        point = point_for(points, len(one.samples) * 1000 // RATE)
        near = row[best] >= point.threshold_among(len(recordings))
        accepted = bool(near and row[best] - second >= MARGIN * point.impostor_std)
        if recordings[one.speaker] > 1:
            right = bool(owner[best] == one.speaker)
            counts.update(known=1, nearest=right, right=accepted and right)
            counts.update(wrong=accepted and not right)
        else:
            counts.update(strangers=1, taken=accepted)
    return Identified(**{field.name: int(counts[field.name]) for field in fields(Identified)})


def _rejected(
    encoder: Encoder, judge: Judge, known: FloatArray, points: list[Point], folder: Path
) -> Rejected:
    files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
    labelled = judge.labelled
    named = {speaker for _, speaker in labelled.recordings}
    speakers = len(labelled.recordings) if labelled.pairs else len(named)
    silent, accepted, nearest = 0, 0, list[float]()
    for path in files:
        try:
            speech = find_speech(decode(path, RATE, end_ms=NOBODY_S * 1000))
        except (NoSpeech, SilentAudio):
            silent += 1
            continue
        voice = encoder.encode(speech.samples[None]).embeddings
        score = float(score_voices(voice, known, judge.cohort).max())
        accepted += score >= point_for(points, speech.net_ms).threshold_among(speakers)
        nearest.append(score)
    return Rejected(len(files), silent, accepted, max(nearest, default=None))


def _disturbed(recordings: list[Spoken], snr_db: int, seed: int = 0) -> list[Spoken]:
    rng = np.random.default_rng([snr_db, seed])
    noisy = []
    for one in recordings:
        energy = np.mean(np.square(one.samples, dtype=np.float64))
        noise = rng.normal(0, np.sqrt(energy) * 10 ** (-snr_db / 20), len(one.samples))
        noisy.append(replace(one, samples=(one.samples + noise).astype(np.float32)))
    return noisy


def _condition(name: str, trials: Trials, cosines: Trials) -> Condition:
    eer, threshold = equal_error_rate(trials)
    steps = np.linspace(trials.impostor.mean(), trials.genuine.max(), 200)
    best = max((decision_at(trials, step) for step in steps), key=lambda found: found.f1)
    return Condition(
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
