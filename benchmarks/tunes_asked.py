"""What the catalogue of `benchmarks.tunes` is asked, and how right its answers are."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiosearch.engine.audio.sandbox import decode
from audiosearch.engine.tunes.matching import TuneHit, match_tune
from audiosearch.engine.tunes.packing import PackedTunes
from audiosearch.engine.tunes.probability import highest, probabilities
from audiosearch.engine.tunes.query import TuneQuery
from audiosearch.engine.tunes.ranking import CONTOUR, Compared, rank_tracks
from audiosearch.engine.tunes.salience import SAMPLE_RATE
from benchmarks.tunes_catalogue import Rendering, song_of, tunes_of
from benchmarks.tunes_hummed import QUIET_DB, SKILLS, hum

KEYS, SPEEDS = (-5, 5), (0.85, 1.18)
"""Of another rendering."""
OTHER_ARRANGEMENT = 1_000_000
TOLERANCE_S = 1.0
NOWHERE = -1
"""Of a sound that is no song's."""
SOUNDS = ".flac", ".ogg", ".wav"


@dataclass(frozen=True)
class Condition:
    """How a song is asked for; skill: "" for another rendering of it; absent: one that is not
    there; the rest is as in `hum`."""

    name: str
    seconds: int = 10
    skill: str = ""
    whistled: bool = False
    snr: float = QUIET_DB
    drifting: float = 0.0
    hastening: float = 0.0
    phone: bool = False
    absent: bool = False


CONDITIONS = (
    Condition("hum, good", skill="good"),
    Condition("hum, average", skill="average"),
    Condition("hum, average", 6, "average"),
    Condition("hum, poor", skill="poor"),
    Condition("whistle, average", skill="average", whistled=True),
    Condition("other rendering"),
    Condition("hum, average, phone", skill="average", phone=True),
    Condition("hum, average, noise 10 dB", skill="average", snr=10),
    Condition("hum, average, drifting a semitone a minute", skill="average", drifting=1),
    Condition("hum, average, tempo changing by 20 %", skill="average", hastening=0.2),
)
ABSENT = (
    Condition("hum, average", skill="average"),
    Condition("hum, average", 6, "average"),
    Condition("hum, poor", skill="poor"),
    Condition("whistle, average", skill="average", whistled=True),
)


@dataclass(frozen=True)
class Asked:
    """A query; song: its number; begin, end: the seconds of the song that it is of; lift: semitones
    that it is above the song; seconds: that it lasts."""

    song: int
    query: TuneQuery
    begin: float
    end: float
    lift: float
    seconds: int

    @property
    def tempo(self) -> float:
        """Of the query, 1.0 as fast as the song."""
        return (self.end - self.begin) / self.seconds


@dataclass(frozen=True)
class Outcome:
    """contour, fused: ranks from 0 of the right song, as many as there are songs where it has none;
    moment, key: whether the first hit is right, and in that; probability: of the first hit, 0
    where there is none; refused: not searched for; cpu_ms: of matching."""

    asked: Asked
    contour: int
    fused: int
    moment: bool
    key: bool
    probability: float
    refused: bool
    cpu_ms: float


def hums(songs: Sequence[int], condition: Condition, rng: np.random.Generator) -> Iterator[Asked]:
    """These songs, each as somebody hums or whistles a stretch of it."""
    for song in songs:
        made = hum(
            song_of(song).seconds,
            rng,
            SKILLS[condition.skill],
            condition.seconds,
            whistled=condition.whistled,
            snr=condition.snr,
            drifting=condition.drifting,
            hastening=condition.hastening,
            phone=condition.phone,
        )
        query = TuneQuery.of_sound(made.samples, SAMPLE_RATE)
        yield Asked(song, query, made.begin, made.end, made.lift, condition.seconds)


def other_renderings(
    songs: Sequence[Rendering],
    fonts: Sequence[Path],
    seconds: int,
    rng: np.random.Generator,
    kept: Path,
    processes: int,
) -> Iterator[Asked]:
    """The predominant pitch of a stretch of these songs in another arrangement, key and tempo, of
    another font than theirs where there is one."""
    others = [
        Rendering(
            font=next((font for font in fonts if font != one.font), one.font),
            song=one.song,
            seed=OTHER_ARRANGEMENT + one.seed,
            key=int(rng.integers(KEYS[0], KEYS[1] + 1)),
            speed=float(rng.uniform(*SPEEDS)),
        )
        for one in songs
    ]
    for other, tune in zip(others, tunes_of(others, kept, processes), strict=True):
        begin = rng.uniform(0, song_of(other.song).song.seconds / other.speed - seconds)
        end = begin + seconds
        query = TuneQuery.from_tune(tune, round(begin * 1000), round(end * 1000))
        whole = begin * other.speed, end * other.speed
        yield Asked(other.song, query, *whole, other.key, seconds)


def sounds(folders: Sequence[Path], each: int) -> Iterator[Asked]:
    """At most `each` sounds of each folder, as if they had been hummed."""
    for folder in folders:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in SOUNDS)
        for number in np.random.default_rng(34).permutation(len(paths))[:each].tolist():
            samples = decode(paths[number], SAMPLE_RATE)
            query = TuneQuery.of_sound(samples, SAMPLE_RATE)
            yield Asked(NOWHERE, query, 0, query.seconds, 0, round(query.seconds))


def outcome_of(asked: Asked, tunes: PackedTunes) -> Outcome:
    """What is answered, and how right it is; tunes: by the numbers of their songs."""
    began = time.process_time()
    hits = match_tune(asked.query, tunes).hits
    cpu_ms = (time.process_time() - began) * 1000
    if not hits:
        return Outcome(asked, len(tunes), len(tunes), False, False, 0.0, True, cpu_ms)
    right = hits[0].item_id == asked.song
    contour, fused = _ranks(asked, tunes)
    return Outcome(
        asked,
        contour,
        fused,
        moment=right and _in_time(hits[0], asked),
        key=right and abs(hits[0].key_difference - asked.lift) <= 1,
        probability=probabilities([hits[0].standing], highest(asked.query))[0],
        refused=False,
        cpu_ms=cpu_ms,
    )


def _ranks(asked: Asked, tunes: PackedTunes) -> tuple[int, int]:
    """Of the right song by contour and by all; as many as there are songs where it is not one of
    them, or not among those that were matched in full."""
    places = np.flatnonzero(np.array(tunes.item_ids) == asked.song)
    if not len(places):
        return len(tunes), len(tunes)
    right = int(places[0])
    compared = Compared.of(asked.query)
    plain = compared.only(slice(1), slice(None))
    by_contour = -plain.costs(tunes.packed, CONTOUR).min(axis=(1, 2))
    ranking = rank_tracks(compared, tunes.packed, top=1, threads=1)
    by_all = np.full(len(tunes), -np.inf, np.float32)
    by_all[ranking.tracks] = ranking.fits.scores
    contour, fused = (
        int((score > score[right]).sum()) if np.isfinite(score[right]) else len(tunes)
        for score in (by_contour, by_all)
    )
    return contour, fused


def _in_time(hit: TuneHit, asked: Asked) -> bool:
    """Whether the stretch begins where the song has what was asked, or has it once more."""
    begin = asked.begin + asked.tempo * hit.query_start_ms / 1000
    off = hit.start_ms / 1000 - begin
    elsewhere = song_of(asked.song).same_elsewhere(asked.begin, asked.end)
    return min(abs(off - later) for later in elsewhere) <= TOLERANCE_S
