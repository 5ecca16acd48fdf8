"""What other apps have to say of a track, on its page and in the API.

The apps above the catalogue say it; settings.TRACK_NOTICES names a function of each, so that the
catalogue imports none. It takes ids of tracks and who asks, and returns notices by track id; it
tells nothing of what that person may not know of.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string


@dataclass(frozen=True)
class Notice:
    """A sentence, the track that it tells of besides, and the page where one acts on it."""

    kind: str
    text: str
    track: int
    title: str
    address: str


def notices_of(track_ids: Collection[int], user: Any) -> dict[int, list[Notice]]:
    """All notices of tracks that this user may know of, by track id."""
    found: dict[int, list[Notice]] = defaultdict(list)
    for path in settings.TRACK_NOTICES if track_ids else ():
        for track_id, notices in import_string(path)(track_ids, user).items():
            found[track_id] += notices
    return dict(found)
