"""The check that runs by itself: what it found and repaired is logged, and kept for /metrics."""

import logging
import time
from collections import Counter
from dataclasses import dataclass

from apps.analysis.drift import KINDS, Drift, StorageUnavailable, find_drift, repair
from apps.analysis.notes import read_note, write_note
from apps.jobs.locks import exclusive
from audiosearch.engine.errors import IndexUnavailable

log = logging.getLogger(__name__)
LOCK = "check"
NOTE = "last-check"


@dataclass(frozen=True)
class Checked:
    """When the catalogue was checked (seconds since 1970), and how much of each kind differed."""

    at: float
    drift: dict[str, int]


def check_and_repair() -> bool:
    """Find and repair what differs; False when another process is at it, or the index is away."""
    with exclusive(LOCK) as alone:
        if not alone:
            log.info("no check: another one is running")
            return False
        try:
            drifts = _settled_drift()
            repair(drifts)
        except (IndexUnavailable, StorageUnavailable) as error:
            log.warning("the check waits: %s", error)
            return False
    _tell(drifts)
    return True


def _settled_drift() -> list[Drift]:
    """What two looks agree on; what only one sees is work on its way, which a repair would undo."""
    first = find_drift()
    if not first:
        return []
    second = set(find_drift())
    return [drift for drift in first if drift in second]


def _tell(drifts: list[Drift]) -> None:
    counts = Counter(drift.kind for drift in drifts)
    for kind, count in counts.items():
        log.warning("the check found and repaired %d × %s", count, kind)
    if not counts:
        log.info("the check found that database, files and index agree")
    checked = Checked(time.time(), {kind: counts[kind] for kind in KINDS})
    write_note(NOTE, checked)


def last_check() -> Checked | None:
    """What the last check found; None before the first."""
    return read_note(NOTE, Checked)
