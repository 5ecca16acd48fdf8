"""From what a search asks with, a clip or a track, to the representation that matchers compare."""

from pathlib import Path

from django.conf import settings

from apps.analysis.clips import decode_clip
from apps.analysis.models import TrackAnalysis
from apps.analysis.queueing import reanalyze
from apps.analysis.representations import NotKept, load_kept
from apps.analysis.spaces import active_name
from apps.analysis.turns import model_turn
from apps.catalog.models import Track
from apps.jobs.models import State
from apps.search.results import SearchSettings
from audiosearch.engine.analyzers.base import Embeddings, Encoder
from audiosearch.engine.analyzers.clips import embed_clip
from audiosearch.engine.analyzers.registry import load_encoder
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.errors import AudioError, ModelUnavailable
from audiosearch.engine.matchers.sounds_alike import MAX_QUERY_WINDOWS


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


def decode_query(path: Path, rate: int, asked: SearchSettings) -> FloatArray:
    """The stretch asked for of an audio file, (n,) float32 mono at `rate` Hz.

    Raises the AudioError that says what is wrong with it.
    """
    most_s = settings.MAX_QUERY_DURATION_S
    return decode_clip(
        path,
        rate,
        most_s=most_s,
        too_long=f"A query may last {most_s} s; choose a stretch of it.",
        start_ms=asked.start_ms or 0,
        end_ms=asked.end_ms,
    )


def embed_query(samples: FloatArray, encoder: Encoder) -> Embeddings:
    """As many windows of a query as matchers compare; waits for a turn in the model."""
    with model_turn():
        return embed_clip(encoder, [samples], most=MAX_QUERY_WINDOWS)


def kept_query(space: str, track_id: int) -> Embeddings:
    """What was kept of a track; gone or damaged, it is made anew. Raises NotListenedYet."""
    try:
        return load_kept(space, track_id, Embeddings)
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
