"""How well the catalogue's own tracks are recognised, and how often as something that they are not.

Excerpts of tracks are asked for as they are, in noise and by a phone; and once more with the track
left out, when no answer is right. Copies of the track, of which a catalogue may hold several, are
as right as itself, and left out with it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from apps.analysis.clips import decode_clip
from apps.analysis.index import get_landmark_index
from apps.analysis.models import SpaceKind, TrackAnalysis
from apps.analysis.representations import NotKept, load_kept
from apps.analysis.spaces import active_name
from apps.catalog.id_map import TrackCard, cards_of
from apps.catalog.recordings import sound_of
from apps.jobs.models import State
from apps.search.same_recording import recognise
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.discovery.duplicates import find_duplicates
from audiosearch.engine.errors import AudioError
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.matchers.same_recording import RecordingAnswer
from audiosearch.engine.scoring.recognition import Recognised
from audiosearch.engine.scoring.worsening import Condition, Worsening

CONDITIONS = (
    Condition("clean"),
    Condition("noise, 5 dB", 5),
    Condition("noise, 0 dB", 0),
    Condition("phone, 5 dB", 5, phone=True),
)
SECONDS = 3, 5, 10
TOLD = 20
"""Hits that are asked for: of what repeats, any of its moments is right."""


@dataclass
class RecognitionEvaluation:
    """What came of all excerpts; tracks: how many they were cut from; unusable: how many were too
    short, silent, or not to be read; copies: of those tracks, found and taken for right."""

    found: list[Recognised] = field(default_factory=list)
    tracks: int = 0
    unusable: int = 0
    copies: int = 0


def evaluate_recognition(
    *, most: int, seed: int, as_recorded: bool, progress: Callable[[int, int], None]
) -> RecognitionEvaluation:
    """Ask for excerpts of at most so many tracks, chosen by chance, as the search itself does.

    progress: called with how many tracks are done, and of how many. Raises ValueError when no track
    is analysed, and IndexUnavailable.
    """
    space = active_name(SpaceKind.LANDMARKS)
    analysed = TrackAnalysis.objects.filter(space__name=space, state=State.READY)
    analysed = analysed.filter(track__retired_at=None)
    ids = list(analysed.order_by("track_id").values_list("track_id", flat=True))
    if not ids:
        raise ValueError("No track has been analysed for this yet.")
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(ids)[:most].tolist()
    asked, worsen = RecognitionEvaluation(), Worsening((), seed)
    ask = partial(recognise, top_k=TOLD, as_recorded=as_recorded)
    for number, card in enumerate(_cards(chosen), 1):
        try:
            begin_ms, samples = _stretch(card, rng)
            own = _copies(space, card.id)
        except (AudioError, NotKept):
            asked.unusable += 1
        else:
            asked.tracks += 1
            asked.copies += len(own) - 1
            asked.found += _outcomes(samples, begin_ms, card.id, own, worsen, ask)
        progress(number, len(chosen))
    return asked


def _cards(track_ids: Sequence[int]) -> Iterator[TrackCard]:
    for track_id in track_ids:
        yield from cards_of([track_id]).values()


def _stretch(card: TrackCard, rng: np.random.Generator) -> tuple[int, FloatArray]:
    """From which moment, and the samples of it. Raises AudioError."""
    longest_ms = max(SECONDS) * 1000
    begin_ms = int(rng.integers(0, max(1, card.duration_ms - longest_ms)))
    samples = decode_clip(
        sound_of(card.path, card.stream),
        SAMPLE_RATE,
        most_s=max(SECONDS) + 1,
        start_ms=begin_ms,
        end_ms=begin_ms + longest_ms,
    )
    return begin_ms, samples


def _copies(space: str, track_id: int) -> tuple[int, ...]:
    """The track, and others that are the same recording, or share a stretch of it."""

    def load(pk: int) -> Landmarks:
        return load_kept(space, pk, Landmarks)

    index = get_landmark_index()
    found = find_duplicates(load(track_id), index, space, load, own_id=track_id)
    return (track_id, *sorted(one.item_id for one in found))


def _outcomes(
    samples: FloatArray,
    begin_ms: int,
    track_id: int,
    own: tuple[int, ...],
    worsen: Worsening,
    ask: Callable[..., RecordingAnswer],
) -> Iterator[Recognised]:
    """Of each length and condition: with the track in what is searched, and without it."""
    for condition in CONDITIONS:
        for seconds in SECONDS:
            length = seconds * SAMPLE_RATE
            if length > len(samples) + SAMPLE_RATE // 10:
                continue
            made = worsen(samples[:length], condition)
            there = ask(made, where=TrackFilter())
            without = ask(made, where=TrackFilter(exclude_item_ids=own))
            best = there.hits[0] if there.hits else None
            right = best is not None and best.item_id in own
            off = [
                hit.start_ms - begin_ms - round(hit.query_start_ms * hit.speed)
                for hit in there.hits
                if hit.item_id == track_id  # of what comes again, any moment is right
            ]
            ahead_ms = min(off, key=abs) if off and right else 0
            probability = best.probability if best else 0.0
            yield Recognised(condition.name, seconds, True, right, probability, ahead_ms)
            strange = without.hits[0].probability if without.hits else 0.0
            yield Recognised(condition.name, seconds, False, False, strange)
