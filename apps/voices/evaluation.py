"""How well the voice encoder tells speakers apart, on recordings whose speakers are known."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from django.db import transaction

from apps.voices.conditions import CUTS_MS, NOISES_DB, WHOLE, Voiceprint, embed_conditions
from apps.voices.embedding import voice_encoder
from apps.voices.judge import (
    ErrorRates,
    Identified,
    Judge,
    cohort_of,
    embeddings_of,
    error_rates,
    refuse_small_cohort,
)
from apps.voices.labels import Labelled
from apps.voices.models import OperatingPoint, too_few_pairs
from apps.voices.thresholds import likeness_by, pack_cohort, point_in_force
from audiosearch.engine.analyzers.base import Encoder
from audiosearch.engine.arrays import FloatArray, Progress
from audiosearch.engine.audio.formats import SUFFIXES
from audiosearch.engine.audio.sandbox import decode
from audiosearch.engine.errors import ModelUnavailable, NoSpeech
from audiosearch.engine.scoring.labels import name_in_errors
from audiosearch.engine.scoring.normalization import score_voices
from audiosearch.engine.scoring.verification import Point, Trials, point_at, point_for
from audiosearch.engine.voice.diarization import Likeness
from audiosearch.engine.voice.speech import RATE, find_speech

NOBODY_S = 60


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
class SpeakerEvaluation:
    """conditions: whole recordings first; points: what scores mean by length; trials: whole ones.

    unheard: recordings in which no speech was found, left out; likeness: for who speaks when;
    cohort: (k, d) strangers that scores are told by, if any.
    """

    space: str
    recordings: int
    speakers: int
    unheard: list[str]
    conditions: list[ErrorRates]
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
    progress: Progress,
) -> SpeakerEvaluation:
    """Compare every two recordings, or the pairs of a trial list: whole, cut short and in noise.

    Both sides of a comparison are cut or disturbed alike.
    encoder: the one in use when left out. cohort: tell scores by the speakers of this data, those
    of each pair left out; else by the cohort in force. nobody: a folder of sounds that must not be
    taken for any of the speakers.
    Raises AudioError, which names the file, for one that cannot be read, and ValueError when there
    are too few pairs.
    """
    if cohort:
        refuse_small_cohort({speaker for _, speaker in labelled.recordings})
    encoder = encoder or voice_encoder()
    found = embed_conditions(labelled.recordings, encoder, cohort=cohort, progress=progress)
    if cohort:
        judge = Judge(labelled.pairs, *cohort_of(found))
    else:
        judge = Judge(labelled.pairs, _cohort_in_force(encoder.spec.space))
    conditions, points, cosine_points = [], [], []
    for name in (WHOLE, *CUTS_MS, *NOISES_DB):
        trials, cosines = judge.trials(found[name]), judge.cosines(found[name])
        conditions.append(error_rates(name, trials, cosines))
        if name in CUTS_MS:
            points.append(point_at(trials, min_ms=CUTS_MS[name], far=far_target))
            cosine_points.append(point_at(cosines, min_ms=CUTS_MS[name], far=far_target))
    whole = found[WHOLE]
    with_speech = {one.recording for one in whole}
    return SpeakerEvaluation(
        space=encoder.spec.space,
        recordings=len(whole),
        speakers=len({one.speaker for one in whole}),
        unheard=[str(path) for path, _ in labelled.recordings if str(path) not in with_speech],
        conditions=conditions,
        points=points,
        far_target=far_target,
        trials=judge.trials(whole),
        likeness=likeness_by(cosine_points),
        cohort=judge.cohort,
        identified=None if labelled.pairs else judge.identify_each(whole, points),
        rejected=_rejected(encoder, judge, whole, points, nobody, progress) if nobody else None,
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


def _cohort_in_force(space: str) -> FloatArray | None:
    try:
        return point_in_force(space).cohort
    except ModelUnavailable:
        return None


def _rejected(
    encoder: Encoder,
    judge: Judge,
    known: list[Voiceprint],
    points: list[Point],
    folder: Path,
    progress: Progress,
) -> Rejected:
    files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
    # in a trial list, whose speakers have no names, every recording may be of another
    speakers = len({one.recording if judge.pairs else one.speaker for one in known})
    embeddings = embeddings_of(known)
    silent, accepted, nearest = 0, 0, list[float]()
    for number, path in enumerate(files):
        beat = partial(progress, "sounds of nobody", number, len(files))
        with name_in_errors(path):
            samples = decode(path, RATE, end_ms=NOBODY_S * 1000, beat=beat)
        try:
            speech = find_speech(samples)
        except NoSpeech:
            silent += 1
            continue
        voice = encoder.encode(speech.samples[None]).embeddings
        score = float(score_voices(voice, embeddings, judge.cohort).max())
        accepted += score >= point_for(points, speech.net_ms).threshold_among(speakers)
        nearest.append(score)
    return Rejected(len(files), silent, accepted, max(nearest, default=None))
