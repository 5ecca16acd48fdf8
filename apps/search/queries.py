"""From what a search asks with, a clip or a track, to the question and what matchers compare."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.analysis.answers import Question
from apps.analysis.clips import Sound
from apps.analysis.models import TrackAnalysis
from apps.analysis.queueing import reanalyze
from apps.analysis.representations import NotKept, R, load_kept
from apps.analysis.spaces import active_name
from apps.analysis.turns import model_turn
from apps.catalog.id_map import cards_of
from apps.catalog.models import Track
from apps.catalog.recordings import sound_of
from apps.catalog.selectors import hidden_collections, visible_tracks
from apps.jobs.models import State
from apps.search.results import SearchSettings
from audiosearch.engine.analyzers.base import Embeddings, Encoder
from audiosearch.engine.analyzers.clips import embed_clip
from audiosearch.engine.analyzers.registry import load_encoder
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.errors import AudioError, ModelUnavailable
from audiosearch.engine.matchers.sounds_alike import MAX_QUERY_WINDOWS


class FileGone(AudioError):
    """The query track's file is not in the storage any more."""

    code = "file_gone"


class NotListenedYet(AudioError):
    """The query track has no vectors yet."""

    code = "not_listened_yet"
    retryable = True


def active_encoder() -> tuple[str, Encoder]:
    """Name of the active embedding space, and its encoder.

    Raises ModelUnavailable, also while the space of another version is being built.
    """
    space = active_name()
    name = space.rpartition("-v")[0]  # a space's name is its analyzer's and the version
    encoder = load_encoder(name, settings.MODELS_DIR, threads=settings.ENCODER_THREADS)
    if encoder.spec.space != space:
        raise ModelUnavailable(
            f"{encoder.spec.title} has another version; the recordings are being analysed for it."
        )
    return space, encoder


@dataclass(frozen=True)
class SearchQuestion(Question):
    """A question of the search: settings as they were asked, and what it is asked with, in words.

    track_id: the track that is asked with, whose vectors are kept; None for a clip.
    """

    settings: SearchSettings
    told: dict[str, Any]
    track_id: int | None = None

    @property
    def is_whole_track(self) -> bool:
        """Whether nothing needs to be decoded to know what it sounds like."""
        return self.track_id is not None and self.settings.is_whole


def clip_question(
    clip: Path, name: str, rates: Sequence[int], asked: SearchSettings, by: Any
) -> SearchQuestion:
    """What is asked with an audio file, known to its owner as `name`."""
    where = asked.as_filter(hidden=hidden_collections(by))
    sound = _sound(clip, rates, asked)
    told = {"clip": name}
    return SearchQuestion(sound, by, asked.top_k, where, asked.as_recorded, asked, told)


def track_question(
    track_id: int, rates: Sequence[int], asked: SearchSettings, by: Any
) -> SearchQuestion:
    """What is asked with a track, itself left out.

    Raises Track.DoesNotExist, also for one that `by` may not know of; and FileGone where its file
    is needed and is not there.
    """
    hidden = hidden_collections(by)
    card = cards_of([track_id]).get(track_id)
    if card is None or (hidden and not visible_tracks(by).filter(pk=track_id).exists()):
        raise Track.DoesNotExist
    path = sound_of(card.path, card.stream)
    question = SearchQuestion(
        _sound(path, rates, asked),
        by,
        asked.top_k,
        asked.as_filter((track_id,), hidden),
        asked.as_recorded,
        asked,
        {"track": track_id},
        track_id,
    )
    if rates and not question.is_whole_track and not path.exists():
        raise FileGone(f"The file of “{card.title}” is gone from the storage.")
    return question


def _sound(path: Path, rates: Sequence[int], asked: SearchSettings) -> Sound:
    most_s = settings.MAX_QUERY_DURATION_S
    return Sound(
        path,
        rates,
        most_s=most_s,
        too_long=f"A query may last {most_s} s; choose a stretch of it.",
        start_ms=asked.start_ms or 0,
        end_ms=asked.end_ms,
    )


def embed_query(samples: FloatArray, encoder: Encoder) -> Embeddings:
    """As many windows of a query as matchers compare; waits for a turn in the model."""
    with model_turn():
        return embed_clip(encoder, [samples], most=MAX_QUERY_WINDOWS)


def kept_query(space: str, track_id: int, kind: type[R]) -> R:
    """What was kept of a track; gone or damaged, it is made anew. Raises NotListenedYet."""
    try:
        return load_kept(space, track_id, kind)
    except NotKept as error:
        lost = TrackAnalysis.objects.filter(track=track_id, space__name=space, state=State.READY)
        for row in lost.select_related("space"):
            reanalyze([track_id], space=row.space)
        raise NotListenedYet(_why_not(Track.objects.get(pk=track_id), space)) from error


def _why_not(track: Track, space: str) -> str:
    row = TrackAnalysis.objects.filter(track=track, space__name=space).first()
    if row and row.state == State.FAILED:
        return f"“{track.title}” could not be listened to: {row.reason}"
    return f"“{track.title}” has not been listened to yet; try again in a moment."
