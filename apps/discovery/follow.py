"""What discovery does when the catalogue's tracks come, change and go; see catalog/lifecycle."""

from collections.abc import Collection

from apps.discovery.keeping import forget_kept


def tracks_added(track_ids: Collection[int], *, wake: bool) -> None:
    """Duplicates of a track that is new are looked for once it is analysed."""


def tracks_changed(track_ids: Collection[int], *, at_once: bool) -> None:
    """What is known of a pair is of its sound."""


def tracks_removed(track_ids: Collection[int]) -> None:
    """Nothing is left of the texts of what is erased."""
    forget_kept()
