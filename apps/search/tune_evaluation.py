"""How well hums find the songs that they are of, and how often something that they are not of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from apps.analysis.clips import decode_clip
from apps.catalog.models import Track
from apps.search.same_tune import recognise_tune
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.scoring.labels import name_in_errors, read_rows
from audiosearch.engine.scoring.recognition import Recognised
from audiosearch.engine.tunes.probability import MATCH
from audiosearch.engine.tunes.query import TuneQuery
from audiosearch.engine.tunes.salience import SAMPLE_RATE

TOLD = 10
"""Hits that are asked for."""


@dataclass(frozen=True)
class Labelled:
    """A hum, the tracks that it is of, if any is here, and what kind of hum it is."""

    path: Path
    tracks: tuple[int, ...]
    condition: str


@dataclass(frozen=True)
class Hummed:
    """What came of one hum; rank: of the best right track, from 1 on, None where it is not told.

    probability: of the likeliest track; stranger: of that when those that are right are left out.
    """

    condition: str
    there: bool
    rank: int | None
    probability: float
    stranger: float


def read_hums(path: Path) -> list[Labelled]:
    """Rows of a CSV with columns path and track, and maybe condition; paths are relative to it.

    A track is told by its number, its title or the name of its file; several by "|"; none is left
    empty. Raises ValueError for one that is not in the catalogue.
    """
    rows = read_rows(path, "track")
    known = list(Track.objects.filter(retired_at=None).values_list("pk", "title", "original_name"))
    by_name: dict[str, set[int]] = {}
    for pk, title, name in known:
        for told in (str(pk), title.casefold(), name.casefold()):
            by_name.setdefault(told, set()).add(pk)
    labelled = []
    for row in rows:
        named = [part.strip() for part in row["track"].split("|") if part.strip()]
        if missing := [name for name in named if name.casefold() not in by_name]:
            raise ValueError(f"{row['path']}: there is no track “{missing[0]}” in the catalogue.")
        tracks = {pk for name in named for pk in by_name[name.casefold()]}
        condition = row.get("condition") or "all"
        labelled.append(Labelled(path.parent / row["path"], tuple(sorted(tracks)), condition))
    return labelled


def evaluate_hums(labelled: Sequence[Labelled], progress: Callable[[int], None]) -> list[Hummed]:
    """Ask for each hum as the search does: with its tracks in the catalogue, and without them.

    progress: called with how many are done. Raises AudioError, which names the file, and
    IndexUnavailable.
    """
    found = []
    for number, one in enumerate(labelled, 1):
        with name_in_errors(one.path):
            found.append(_asked(one))
        progress(number)
    return found


def _asked(one: Labelled) -> Hummed:
    most_s = settings.MAX_QUERY_DURATION_S
    samples = decode_clip(one.path, SAMPLE_RATE, most_s=most_s, too_long=f"Over {most_s} s.")
    query = TuneQuery.of_sound(samples, SAMPLE_RATE)
    told = recognise_tune(query, top_k=TOLD, where=TrackFilter())
    ids = [each.hit.item_id for each in told.hits]
    rank = next((place for place, pk in enumerate(ids, 1) if pk in one.tracks), None)
    strange = told
    if one.tracks:
        where = TrackFilter(exclude_item_ids=one.tracks)
        strange = recognise_tune(query, top_k=1, where=where)
    return Hummed(one.condition, bool(one.tracks), rank, told.likeliest, strange.likeliest)


@dataclass(frozen=True)
class HumRow:
    """Shares of the hums of one condition whose song is here; mrr: mean reciprocal rank.

    strangers: of all hums, asked without their songs; strangers_accepted: those that are a match.
    """

    condition: str
    hums: int
    top_1: float
    top_10: float
    mrr: float
    accepted: float
    strangers: int
    strangers_accepted: int


def hum_rows(found: Sequence[Hummed]) -> list[HumRow]:
    """A row for each condition, in the order in which they come up."""
    rows = []
    for condition in dict.fromkeys(one.condition for one in found):
        own = [one for one in found if one.condition == condition]
        there = [one for one in own if one.there]
        rows.append(
            HumRow(
                condition,
                len(there),
                _share([one.rank == 1 for one in there]),
                _share([one.rank is not None for one in there]),
                _share([1 / one.rank if one.rank else 0.0 for one in there]),
                _share([one.rank == 1 and one.probability >= MATCH for one in there]),
                len(own),
                sum(one.stranger >= MATCH for one in own),
            )
        )
    return rows


def told_probabilities(found: Sequence[Hummed]) -> list[Recognised]:
    """What was told with each hum's song here and without it, for `reliability_rows`."""
    there = [one for one in found if one.there]
    with_it = [Recognised("", 0, True, one.rank == 1, one.probability) for one in there]
    without = [Recognised("", 0, False, False, one.stranger) for one in found]
    return with_it + without


def _share(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
