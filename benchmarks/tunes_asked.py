"""What the catalogue of `benchmarks.tunes` is asked, and how right its answers are."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiosearch.engine.tunes.matching import TuneHit, match_tune, score_tracks
from audiosearch.engine.tunes.packing import PackedTunes
from audiosearch.engine.tunes.query import TuneQuery, why_unfit
from audiosearch.engine.tunes.salience import SAMPLE_RATE
from benchmarks.tunes_catalogue import Rendering, song_of, tunes_of
from benchmarks.tunes_hummed import QUIET_DB, SKILLS, hum

KEYS, SPEEDS = (-5, 5), (0.85, 1.18)
"""Of another rendering."""
OTHER_ARRANGEMENT = 1_000_000
TOLERANCE_S = 1.0


@dataclass(frozen=True)
class Condition:
    """How a song is asked for; skill: "" for another rendering of it; the rest is as in `hum`."""

    name: str
    seconds: int = 10
    skill: str = ""
    whistled: bool = False
    snr: float = QUIET_DB
    drifting: float = 0.0
    hastening: float = 0.0
    phone: bool = False


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
    """Ranks from 0 of the right song, that of no song where it is absent; moment, key: whether the
    first hit is right, and in that."""

    asked: Asked
    contour: int
    fused: int
    moment: bool
    key: bool
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
        query = TuneQuery.from_samples(made.samples, SAMPLE_RATE)
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


def outcome_of(asked: Asked, tunes: PackedTunes) -> Outcome:
    """Where the right song ranks, and whether the first hit, where it is the right one, is right
    in its moment and key; tunes: by the numbers of their songs."""
    began = time.process_time()
    answer = match_tune(asked.query, tunes)
    cpu_ms = (time.process_time() - began) * 1000
    place = np.flatnonzero(tunes.item_ids == asked.song)
    if why_unfit(asked.query) or not len(place):
        return Outcome(asked, len(tunes), len(tunes), False, False, cpu_ms)
    scores = score_tracks(asked.query, tunes)
    contour, fused = (
        int((score > score[place[0]]).sum()) for score in (scores.contour, scores.fused)
    )
    hit = answer.hits[0]
    right = hit.item_id == asked.song
    key = right and abs(hit.key_difference - asked.lift) <= 1
    return Outcome(asked, contour, fused, right and _in_time(hit, asked), key, cpu_ms)


def _in_time(hit: TuneHit, asked: Asked) -> bool:
    """Whether the stretch begins where the song has what was asked, or has it once more."""
    begin = asked.begin + asked.tempo * hit.query_start_ms / 1000
    off = hit.start_ms / 1000 - begin
    elsewhere = song_of(asked.song).same_elsewhere(asked.begin, asked.end)
    return min(abs(off - later) for later in elsewhere) <= TOLERANCE_S
