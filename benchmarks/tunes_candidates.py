"""How often candidates by vectors of windows have the song that is asked for, by exact search.

    python -m benchmarks.tunes_candidates --cache FOLDER [--songs 1000] [--each 60] [--json]

Songs and hums are made as those of `benchmarks.tunes_calibration`, and others than those that the
projection is trained on.

best 1 % …   the song is among so many of all by its windows
full top-10  it is among ten where all songs are matched, as they are in small catalogues
kept         of these, how many are among the best 10 % by their windows
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from audiosearch.engine.indexes.base import Entry
from audiosearch.engine.indexes.exact import ExactIndex
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.payloads import TrackPayload
from audiosearch.engine.tunes.candidates import tune_candidates
from audiosearch.engine.tunes.packing import PackedTune
from audiosearch.engine.tunes.projection import DIMENSION
from audiosearch.engine.tunes.ranking import Compared, rank_tracks
from audiosearch.engine.tunes.windows import tune_windows
from benchmarks.report import show
from benchmarks.tunes_asked import Asked, hums, other_renderings
from benchmarks.tunes_calibration import FIRST_SONG, FONT, KINDS
from benchmarks.tunes_catalogue import Rendering, tunes_of

SPACE = "tunes"
SHARES = 0.01, 0.05, 0.1, 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=1000)
    parser.add_argument("--each", type=int, default=60, help="queries of a condition")
    parser.add_argument("--seed", type=int, default=9, help="of hums and moments")
    parser.add_argument("--cache", type=Path, required=True, help="where songs are kept")
    parser.add_argument("--processes", type=int, default=2, help="that play and analyse")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    first = FIRST_SONG
    songs = [Rendering(FONT, song, song) for song in range(first, first + options.songs)]
    tunes = list(tunes_of(songs, options.cache, options.processes))
    packed = [PackedTune.of(tune) for tune in tunes]
    index = ExactIndex()
    index.create_space(SPACE, DIMENSION, TrackPayload.layout)
    for place, tune in enumerate(tunes):
        windows = tune_windows(tune)
        payload = TrackPayload(track_id=place)
        index.upsert(SPACE, [Entry(payload, windows.embeddings, windows.span_pairs)])
    rng = np.random.default_rng(options.seed)
    rows = []
    for condition in KINDS:
        chosen = rng.integers(0, len(songs), options.each).tolist()
        own = [songs[place] for place in chosen]
        if condition.skill:
            asked = list(hums([one.song for one in own], condition, rng))
        else:
            kept = options.cache, options.processes
            asked = list(other_renderings(own, [FONT], condition.seconds, rng, *kept))
        row: dict[str, Any] = {"asked by": condition.name, "s": condition.seconds, "n": len(asked)}
        rows.append(row | shares(chosen, asked, packed, index))
    show("candidates", rows, as_json=options.json, songs=len(songs))


def shares(
    right: list[int], asked: list[Asked], packed: list[PackedTune], index: ExactIndex
) -> dict[str, float]:
    """Of a condition's queries, each for the song at one of these places."""
    count = len(packed)
    ranks, full = np.full(len(asked), count), np.full(len(asked), count)
    for number, (place, one) in enumerate(zip(right, asked, strict=True)):
        found = tune_candidates(one.query, index, SPACE, TrackFilter(), count)
        if place in found:
            ranks[number] = found.index(place)
        ranking = rank_tracks(Compared.of(one.query), packed, 10, 1)
        own = np.flatnonzero(ranking.tracks == place)
        if len(own):
            full[number] = (ranking.fits.scores > ranking.fits.scores[own[0]]).sum()
    row = {f"best {100 * share:g} %": float((ranks < share * count).mean()) for share in SHARES}
    row["full top-10"] = float((full < 10).mean())
    return row | {"kept": float((ranks[full < 10] < 0.1 * count).mean())}


if __name__ == "__main__":
    main()
