"""Where database, files and index differ, and what settles each difference."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from django.core.files.storage import default_storage
from django.utils import timezone

from apps.analysis.away import IS_AWAY, set_tracks_aside, take_tracks_back, tracks_back
from apps.analysis.holdings import holdings_of
from apps.analysis.models import FILE_GONE, Space, SpaceKind, SpaceState, TrackAnalysis
from apps.analysis.queueing import reanalyze
from apps.analysis.removing import take_out
from apps.analysis.representations import ROOT, kept_name
from apps.analysis.space_indexes import index_of
from apps.catalog.models import Removal, Track
from apps.catalog.recordings import FILE_DAMAGED
from apps.catalog.services.adding import FOLDER
from apps.jobs.models import State
from apps.jobs.pieces import in_pieces
from apps.jobs.queue import ANALYSE, enqueue
from audiosearch.engine.analyzers.registry import analyzer_class
from audiosearch.engine.errors import EngineError, ModelUnavailable, SpaceMissing

YOUNG = timedelta(hours=1)
FILE_MISSING = "file missing"
FILE_BACK = "file back"
ORPHAN_FILE = "orphan file"
VECTORS_MISSING = "vectors missing"
ORPHAN_VECTORS = "orphan vectors"
MISSING_IN_INDEX = "missing in index"
UNKNOWN_TO_DATABASE = "unknown to database"
RECORDING_DAMAGED = "file damaged"
VECTORS_DAMAGED = "vectors damaged"
VOICE_DAMAGED = "voice damaged"
KINDS = (
    FILE_MISSING,
    FILE_BACK,
    ORPHAN_FILE,
    VECTORS_MISSING,
    ORPHAN_VECTORS,
    MISSING_IN_INDEX,
    UNKNOWN_TO_DATABASE,
)
DAMAGES = (RECORDING_DAMAGED, VECTORS_DAMAGED, VOICE_DAMAGED)
"""What only reading everything finds; see `verifying.py`."""
BECOMES = {
    FILE_MISSING: "set aside as failed until the file is back",
    RECORDING_DAMAGED: "set aside as failed until the bytes that were added are back",
    VECTORS_MISSING: "analysed again",
    VECTORS_DAMAGED: "analysed again",
    VOICE_DAMAGED: "embedded again from the recording",
}
"""What a repair makes of these, in words."""


class StorageUnavailable(EngineError):
    """The storage does not hold what it should, and nothing may be concluded from that."""

    code = "storage_unavailable"
    retryable = True


@dataclass(frozen=True)
class Drift:
    """One difference between database, files and index: what it is, and where.

    item_id: a track, or of a space of another kind its item.
    """

    kind: str
    message: str
    item_id: int = 0
    space: str = ""
    name: str = ""


def find_drift() -> list[Drift]:
    """Everything in which database, files and index differ.

    Raises IndexUnavailable and StorageUnavailable.
    """
    drifts = [*_file_drifts(), *_vector_drifts()]
    for space in Space.objects.all():
        drifts.extend(index_drifts(space))
    return drifts


def _file_drifts() -> Iterator[Drift]:
    known = dict(Track.objects.values_list("file", "pk"))
    if known and not default_storage.exists(FOLDER):
        raise StorageUnavailable("The storage has no place for recordings; is it mounted?")
    stored = set(_stored(FOLDER))
    others = TrackAnalysis.objects.filter(~IS_AWAY).exclude(space__state=SpaceState.RETIRED)
    in_use = set(others.values_list("track_id", flat=True))
    for name, track_id in known.items():
        if name not in stored and track_id in in_use:
            yield Drift(FILE_MISSING, f"The file of track {track_id} is gone.", track_id)
    yield from files_back()
    pending = set(Removal.objects.values_list("file_name", flat=True))
    for name in stored - set(known) - pending:
        if _is_old(name):
            yield Drift(ORPHAN_FILE, f"{name} belongs to no track.", name=name)


def files_back() -> Iterator[Drift]:
    """Tracks that were set aside for their file, and whose file is there again."""
    for track_id in tracks_back():
        yield Drift(FILE_BACK, f"The file of track {track_id} is there again.", track_id)


def _vector_drifts() -> Iterator[Drift]:
    expected: dict[str, tuple[int, str]] = {}
    rows = TrackAnalysis.objects.all()
    ready = rows.filter(state=State.READY, space__in=_spaces_with_files())
    ready = ready.exclude(space__state=SpaceState.RETIRED)
    for track_id, space in ready.values_list("track_id", "space__name"):
        expected[kept_name(space, track_id)] = (track_id, space)
    stored = set(_stored(ROOT))
    for name, (track_id, space) in expected.items():
        if name not in stored:
            message = f"Track {track_id} has no vectors kept."
            yield Drift(VECTORS_MISSING, message, track_id, space, name)
    known = {
        kept_name(space, track_id)
        for track_id, space in rows.values_list("track_id", "space__name")
    }
    for name in stored - known:
        if _is_old(name):
            yield Drift(ORPHAN_VECTORS, f"{name} belongs to no track.", name=name)


def _spaces_with_files() -> list[Space]:
    """Those whose representations are kept as files."""
    found = []
    for space in Space.objects.exclude(kind=SpaceKind.SPEAKER):
        with suppress(ModelUnavailable):  # of an analyzer that is gone nothing is expected
            if analyzer_class(space.analyzer).representation.kept:
                found.append(space)
    return found


def index_drifts(space: Space) -> Iterator[Drift]:
    """Where the index holds more or less of a space than it should. Raises IndexUnavailable."""
    holdings = holdings_of(space)
    if holdings is None:
        return
    try:
        indexed = index_of(space).counts()
    except SpaceMissing:
        indexed = {}
    # In this order: what settles meanwhile is in both, and so is no drift.
    unsettled = holdings.unsettled(space)
    expected = holdings.counts(space)
    for item_id, windows in expected.items() if space.state != SpaceState.RETIRED else ():
        if indexed.get(item_id, 0) != windows:
            message = f"{space.name} holds {indexed.get(item_id, 0)} of {windows} of {item_id}."
            yield Drift(MISSING_IN_INDEX, message, item_id, space.name)
    for item_id in set(indexed) - set(expected) - unsettled:
        message = f"{space.name} holds {item_id}, which does not exist."
        yield Drift(UNKNOWN_TO_DATABASE, message, item_id, space.name)


def repair(drifts: Iterable[Drift]) -> None:
    """Settle these differences: the database and the files are the truth, the index follows."""
    items: dict[tuple[str, str], list[int]] = defaultdict(list)
    for drift in drifts:
        if drift.kind in (ORPHAN_FILE, ORPHAN_VECTORS):
            default_storage.delete(drift.name)
        else:
            items[drift.kind, drift.space].append(drift.item_id)
    for (kind, space), ids in items.items():
        for piece in in_pieces(ids):
            _settle(kind, space, piece)
    enqueue(ANALYSE)


def _settle(kind: str, space: str, ids: list[int]) -> None:
    if kind in (FILE_MISSING, RECORDING_DAMAGED):
        set_tracks_aside(ids, FILE_GONE if kind == FILE_MISSING else FILE_DAMAGED)
    elif kind == FILE_BACK:
        take_tracks_back(ids)
    elif kind in (VECTORS_MISSING, VECTORS_DAMAGED):
        reanalyze(ids, space=Space.objects.get(name=space))
    elif kind == UNKNOWN_TO_DATABASE:
        take_out(Space.objects.get(name=space), ids)
    elif kind in (MISSING_IN_INDEX, VOICE_DAMAGED):
        found = Space.objects.get(name=space)
        holdings = holdings_of(found)
        assert holdings is not None  # noqa: S101 - only spaces with holdings drift so
        mend = holdings.send_again if kind == MISSING_IN_INDEX else holdings.make_again
        mend(found, ids)


def _stored(folder: str) -> Iterator[str]:
    """Names of all files below a folder of the storage."""
    try:
        folders, files = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in files:
        yield f"{folder}/{name}"
    for name in folders:
        yield from _stored(f"{folder}/{name}")


def _is_old(name: str) -> bool:
    """True for a file older than an hour: younger ones may be about to be claimed by a row."""
    try:
        return default_storage.get_modified_time(name) < timezone.now() - YOUNG
    except FileNotFoundError:
        return False
