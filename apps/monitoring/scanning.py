"""The scan of a long recording against the catalogue: under the filters of who asks for it."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.dateparse import parse_datetime

from apps.analysis.index import get_landmark_index
from apps.analysis.models import SpaceKind, TrackAnalysis
from apps.analysis.spaces import active_name
from apps.catalog.selectors import hidden_collections
from apps.jobs.models import State
from apps.search.results import SearchSettings
from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.audio.formats import AudioInfo
from audiosearch.engine.audio.sandbox import inspect, stream
from audiosearch.engine.errors import AudioError, CorruptAudio, IndexUnavailable, SpaceMissing
from audiosearch.engine.matchers.recording.play_log import PlayLog


class NothingToFind(AudioError):
    """The catalogue holds nothing that could have been played."""

    code = "nothing_to_find"


def inspect_recording(path: Path) -> AudioInfo:
    """What a long recording is; it is not decoded whole. Raises the AudioError that is wrong."""
    return inspect(
        path,
        max_duration_ms=settings.MAX_SCAN_DURATION_S * 1000,
        thorough=False,
        budget=settings.DECODE_BUDGET,
    )


def scan_file(
    *,
    path: Path,
    asked: SearchSettings,
    by: Any,
    heard: Callable[[int], bool] = lambda ms: True,
) -> PlayLog | None:
    """What of the catalogue, as far as `by` may know of it (None: all), was played in a file.

    heard: told the ms that were scanned about every second of sound; when it says False, nobody
    wants it any more, and None is returned. Raises an AudioError, also
    NothingToFind, and IndexUnavailable.
    """
    # With the first scan, as it loads SciPy.
    from audiosearch.engine.matchers.recording.scanning import Scanner

    where = asked.as_filter(hidden=hidden_collections(by))
    scanner = Scanner(get_landmark_index(), active_name(SpaceKind.LANDMARKS), where)
    try:
        with closing(stream(path, SAMPLE_RATE, budget=settings.DECODE_BUDGET)) as blocks:
            for block in blocks:
                scanner.feed(block)
                if not heard(scanner.seen_ms):
                    return None
        found = scanner.finish()
    except SpaceMissing as error:
        raise _without_index() from error
    if not found.duration_ms:
        raise CorruptAudio("The file is damaged: no sound could be decoded from it.")
    return found


def settings_of(kept: dict[str, Any]) -> SearchSettings:
    """The filters that a scan keeps, as they were asked for."""
    values: dict[str, Any] = {
        key: tuple(each) if isinstance(each, list) else each for key, each in kept.items()
    }
    for key in ("added_from", "added_to"):
        if key in values:
            values[key] = parse_datetime(values[key])
    return SearchSettings(**values)


def _without_index() -> Exception:
    analysed = TrackAnalysis.objects.filter(space__kind=SpaceKind.LANDMARKS, state=State.READY)
    if analysed.exists():
        return IndexUnavailable("The index of landmarks lost its content; it is being built anew.")
    return NothingToFind("No recording has been analysed for this yet; add some, and scan again.")
