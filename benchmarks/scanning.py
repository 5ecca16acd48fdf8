"""Measure the scan of a long mix: what is found, how exact its bounds are, and how fast it is.

    python -m benchmarks.scanning [--hours 100] [--minutes 60] [--mixes 3] [--json]

A mix is ten excerpts of 5 to 120 s from the music in ../shared/data/music, where it is, and from
rendered songs, with readers of LibriSpeech, sounds of ESC-10, and noise between them until it is
so long. The catalogue is that of `benchmarks.landmark_index`: those recordings, and variants of
them until there are so many hours. `strangers` is a mix without any excerpt, whose music is of
songs that are not in the catalogue. Times are of the processor: of the analysis and the look-ups,
without decoding, and of decoding the mix from an MP3 of 128 kbit/s, which another process does
meanwhile; how many times faster than it plays is told by the longer of the two.
"""

import argparse
import resource
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np

from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.audio.sandbox import stream
from audiosearch.engine.indexes.landmarks_segments import SegmentIndex
from audiosearch.engine.indexes.payloads import TrackPayload
from audiosearch.engine.matchers.recording.play_log import Play, PlayLog
from audiosearch.engine.matchers.recording.scanning import Scanner
from benchmarks.landmark_index import SPACE, catalogue, landmarks_of
from benchmarks.recognition import STRANGER_SEEDS, song_of
from benchmarks.recognition_sounds import real_music, strange_sounds
from benchmarks.report import show

EXCERPTS_S = (5, 6, 8, 10, 12, 15, 20, 30, 60, 120)
LOUDNESS = 0.1
FADE_S = 0.02


@dataclass(frozen=True)
class Truth:
    """What was played: a track, and when in the mix and in the track it began, in ms."""

    item_id: int
    start_ms: int
    end_ms: int
    track_start_ms: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=100, help="of the catalogue")
    parser.add_argument("--minutes", type=float, default=60, help="of a mix")
    parser.add_argument("--mixes", type=int, default=3)
    parser.add_argument("--songs", type=int, default=40, help="rendered, in the catalogue")
    parser.add_argument("--seed", type=int, default=1, help="of the first mix")
    parser.add_argument("--cache", type=Path, help="where rendered songs are kept for next time")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    song = partial(song_of, options.cache)
    songs = [*real_music().values(), *(song(seed) for seed in range(options.songs))]
    others = [song(STRANGER_SEEDS + seed) for seed in range(options.songs)]
    between = [one for _, one in strange_sounds(200)]
    landmarks = [landmarks_of(one) for one in songs]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        index = SegmentIndex(Path(folder) / "index")
        index.rebuild(SPACE, TrackPayload.layout, catalogue(landmarks, options.hours))
        _scan(index, songs[-1])  # compiles, and maps the files
        for seed in range(options.seed, options.seed + options.mixes):
            mix, truths = make_mix(seed, songs, between, options.minutes)
            rows.append({"mix": seed, **measure(index, mix, truths, Path(folder))})
        mix, _ = make_mix(options.seed, [], [*between, *others], options.minutes)
        rows.append({"mix": "strangers", **measure(index, mix, [], Path(folder))})
    show("scanning", rows, as_json=options.json)


def make_mix(
    seed: int,
    songs: list[FloatArray],
    between: list[FloatArray],
    minutes: float,
    lengths_s: tuple[int, ...] = EXCERPTS_S,
) -> tuple[FloatArray, list[Truth]]:
    """Excerpts of songs, which are numbered from 1, with what is between them; and the truth.

    Excerpts are of `lengths_s`, or as long as their song; equally loud as what is between.
    """
    rng = np.random.default_rng(seed)
    excerpts = _excerpts(rng, songs, lengths_s) if songs else []
    left = int(minutes * 60 * SAMPLE_RATE) - sum(len(samples) for _, _, samples in excerpts)
    breaks = rng.dirichlet(np.full(len(excerpts) + 1, 4.0)) * left
    parts, truths, at = [_filling(rng, between, int(breaks[0]))], [], int(breaks[0])
    for (item_id, begin, samples), pause in zip(excerpts, breaks[1:], strict=True):
        ends = at * 1000 // SAMPLE_RATE, (at + len(samples)) * 1000 // SAMPLE_RATE
        truths.append(Truth(item_id, *ends, begin * 1000 // SAMPLE_RATE))
        parts += [samples, _filling(rng, between, int(pause))]
        at += len(samples) + int(pause)
    return np.concatenate(parts), truths


def _excerpts(
    rng: np.random.Generator, songs: list[FloatArray], lengths_s: tuple[int, ...]
) -> list[tuple[int, int, FloatArray]]:
    """Track, sample at which it begins in it, and samples; the longest from those long enough."""
    found, taken = [], set[int]()
    for seconds in sorted(lengths_s, reverse=True):
        length = seconds * SAMPLE_RATE
        free = [n for n in range(len(songs)) if n not in taken]
        long = [n for n in free if len(songs[n]) > length]
        number = int(rng.choice(long)) if long else max(free, key=lambda n: len(songs[n]))
        taken.add(number)
        song = songs[number]
        begin = int(rng.integers(0, max(1, len(song) - length)))
        while len(song) > length and song[begin : begin + length].std() < 0.3 * song.std():
            begin = int(rng.integers(0, len(song) - length))
        found.append((number + 1, begin, _levelled(song[begin : begin + length])))
    return [found[n] for n in rng.permutation(len(found))]


def _filling(rng: np.random.Generator, between: list[FloatArray], length: int) -> FloatArray:
    """Voices and sounds one after the other, some with noise below them, until it is so long."""
    parts = [np.zeros(0, np.float32)]
    while sum(map(len, parts)) < length:
        part = _levelled(between[rng.integers(len(between))])
        if rng.random() < 0.3:
            part = part + rng.normal(0, LOUDNESS / 3, len(part)).astype(np.float32)
        parts.append(part)
    return np.concatenate(parts)[:length]


def _levelled(samples: FloatArray) -> FloatArray:
    """Equally loud, and faded in and out, as a mixing desk does."""
    fade = np.linspace(0, 1, int(FADE_S * SAMPLE_RATE), dtype=np.float32)
    made = samples * np.float32(LOUDNESS / (samples.std() + 1e-9))
    made[: len(fade)] *= fade
    made[-len(fade) :] *= fade[::-1]
    return np.asarray(made, np.float32)


def measure(
    index: SegmentIndex, mix: FloatArray, truths: list[Truth], folder: Path
) -> dict[str, Any]:
    """What a scan of a mix finds of the truth, and what it costs."""
    coded = folder / "mix.mp3"
    _write_mp3(coded, mix)
    heard, decoding = _decoded(coded, len(mix))
    began = time.process_time()
    log = _scan(index, heard)
    took = time.process_time() - began
    right = [(truth, play) for truth in truths if (play := _found(truth, log))]
    errors = [abs(play.start_ms - truth.start_ms) for truth, play in right]
    errors += [abs(play.end_ms - truth.end_ms) for truth, play in right]
    offsets = [
        abs(play.track_start_ms - play.start_ms - truth.track_start_ms + truth.start_ms)
        for truth, play in right
    ]
    return {
        "excerpts": len(truths),
        "found": len(right),
        "invented": len(log.plays) - len(right),
        "bounds, worst ms": max(errors, default=0),
        "bounds, median ms": float(np.median(errors)) if errors else 0,
        "offset, worst ms": max(offsets, default=0),
        "least P": min((play.probability for _, play in right), default=0),
        "scan, CPU s": took,
        "decoding, CPU s": decoding,
        "x real time": len(mix) / SAMPLE_RATE / max(took, decoding),
    }


def _decoded(path: Path, length: int) -> tuple[FloatArray, float]:
    """What a decoder makes of a file, and its processor time in s, start included.

    It is left a second before the end, as one that is ended then has its time told.
    """
    before = _children_s()
    parts: list[FloatArray] = []
    with closing(stream(path, SAMPLE_RATE)) as blocks:
        for block in blocks:
            parts.append(block)
            if sum(map(len, parts)) >= length - SAMPLE_RATE:
                break
    return np.concatenate(parts), _children_s() - before


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _found(truth: Truth, log: PlayLog) -> Play | None:
    for play in log.plays:
        common = min(play.end_ms, truth.end_ms) - max(play.start_ms, truth.start_ms)
        if play.item_id == truth.item_id and common > 0:
            return play
    return None


def _scan(index: SegmentIndex, samples: FloatArray) -> PlayLog:
    scanner = Scanner(index, SPACE)
    for begin in range(0, len(samples), SAMPLE_RATE):
        scanner.feed(samples[begin : begin + SAMPLE_RATE])
    return scanner.finish()


def _write_mp3(path: Path, samples: FloatArray) -> None:
    with av.open(str(path), "w") as container:
        coded = container.add_stream("libmp3lame", rate=22_050, layout="mono")
        coded.bit_rate = 128_000
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=22_050)
        for begin in range(0, len(samples), SAMPLE_RATE):
            part = np.ascontiguousarray(samples[None, begin : begin + SAMPLE_RATE])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
            frame.sample_rate = SAMPLE_RATE
            for each in resampler.resample(frame):
                container.mux(coded.encode(each))
        for each in resampler.resample(None):
            container.mux(coded.encode(each))
        container.mux(coded.encode(None))


if __name__ == "__main__":
    main()
