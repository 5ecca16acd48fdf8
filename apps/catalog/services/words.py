"""What the search for words reads follows the texts of tracks."""

from collections.abc import Iterable

from apps.catalog.models import TEXT_FIELDS, Track, TrackWords
from apps.catalog.words import searched_words
from apps.jobs.pieces import AT_ONCE


def write_words(tracks: Iterable[Track]) -> None:
    """Write what is searched of each of these tracks, in the transaction that wrote their texts."""
    texts = (*TEXT_FIELDS, "original_name")
    TrackWords.objects.bulk_create(
        [
            TrackWords(track=track, words=searched_words(getattr(track, field) for field in texts))
            for track in tracks
        ],
        batch_size=AT_ONCE,
        update_conflicts=True,
        unique_fields=["track"],
        update_fields=["words"],
    )
