"""Who speaks in which file: a CSV of speakers, or a list of trials."""

from dataclasses import dataclass, field
from pathlib import Path

from audiosearch.engine.scoring.labels import read_rows

SAME = {"1": True, "target": True, "0": False, "nontarget": False}


@dataclass(frozen=True)
class Labelled:
    """recordings: (path, speaker); pairs: (path, path, whether one voice), all pairs when empty.

    With pairs the speakers are not known, and empty.
    """

    recordings: list[tuple[Path, str]]
    pairs: list[tuple[Path, Path, bool]] = field(default_factory=list)


def read_speakers(path: Path) -> list[tuple[Path, str]]:
    """(recording, speaker) rows of a CSV with columns path (relative to it) and speaker."""
    return [(path.parent / row["path"], row["speaker"]) for row in read_rows(path, "speaker")]


def read_labelled(path: Path) -> Labelled:
    """A CSV of speakers, or lines of `1 one.wav other.wav` (0 for two voices), as VoxCeleb has.

    Raises ValueError for a line of the list that is not one.
    """
    with path.open(encoding="utf-8") as file:
        first = file.readline()
    if first.split()[:1] and first.split()[0] in SAME:
        pairs = _read_trials(path)
        return Labelled([(one, "") for one in dict.fromkeys(_sides(pairs))], pairs)
    return Labelled(read_speakers(path))


def _read_trials(path: Path) -> list[tuple[Path, Path, bool]]:
    pairs = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        parts = line.split()
        if not parts:
            continue
        if len(parts) != 3 or parts[0] not in SAME:
            raise ValueError(f"Line {number} of {path} is not 1 or 0 and two files: {line[:80]}")
        pairs.append((path.parent / parts[1], path.parent / parts[2], SAME[parts[0]]))
    return pairs


def _sides(pairs: list[tuple[Path, Path, bool]]) -> list[Path]:
    return [side for one, other, _ in pairs for side in (one, other)]
