"""Tunes: what is kept of a recording, the same whatever the blocks; the pitch of hums and whistles;
and what no tune can be found by."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.analysis import TuneStream, tune_of
from audiosearch.engine.tunes.pitch import track_pitch
from audiosearch.engine.tunes.query import LONGEST_FRAMES, TuneQuery, why_unfit
from audiosearch.engine.tunes.representation import FRAMES_PER_SECOND, Tune
from audiosearch.engine.tunes.salience import KEYS, LOWEST_KEY, SAMPLE_RATE, STEPS
from audiosearch.engine.tunes.second_opinion import MODEL, SecondOpinion, SecondOpinionStream
from audiosearch.engine.tunes.steadiness import held_share
from tests.tune_sounds import made_melody, mains, noise, played, stretch

ROOT = Path(__file__).parents[2]


def same(one: Tune, other: Tune) -> bool:
    pairs = zip(one.arrays().values(), other.arrays().values(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def second() -> SecondOpinion:
    return SecondOpinion()


def fed(samples: FloatArray, size: int, second: SecondOpinion | None = None) -> TuneStream:
    stream = TuneStream(second)
    for begin in range(0, len(samples), size):
        stream.feed(samples[begin : begin + size])
        stream.feed(samples[:0])
    return stream


def test_the_same_whatever_the_blocks() -> None:
    song = played(made_melody(1, 66), chords=True)
    whole = tune_of(song)
    assert len(whole) == len(song) * FRAMES_PER_SECOND // SAMPLE_RATE
    assert same(fed(song, 7919).finish(), whole)
    assert same(fed(song, 40 * SAMPLE_RATE + 1).finish(), whole)


def test_a_second_opinion_is_the_same_whatever_the_blocks(second: SecondOpinion) -> None:
    song = played(made_melody(1, 7), chords=True)
    both = tune_of(song, second)
    assert same(fed(song, 7919, second).finish(), both)
    alone = tune_of(song)
    assert np.array_equal(alone.contour, both.contour)
    assert not np.array_equal(alone.unfolded, both.unfolded)
    assert [one.nbytes for one in alone.arrays().values()] == [
        one.nbytes for one in both.arrays().values()
    ]


def test_a_second_opinion_hears_each_note_when_it_sounds(second: SecondOpinion) -> None:
    notes = [(at, 1.0, key) for at, key in enumerate([60.0, 64.0, 67.0, 72.0, 71.0, 65.0])]
    stream = SecondOpinionStream(second)
    stream.feed(played(notes)[: 6 * SAMPLE_RATE])
    strengths = stream.finish(30)
    assert strengths.shape == (30, KEYS * STEPS)
    loudest = LOWEST_KEY + strengths.argmax(axis=1) / STEPS
    for number, (_, _, key) in enumerate(notes):
        assert loudest[5 * number + 1 : 5 * number + 4] == pytest.approx(key, abs=0.35)


@pytest.mark.parametrize("samples", [0, 3200, 20_000])
def test_a_second_opinion_of_extremely_short_sound(second: SecondOpinion, samples: int) -> None:
    stream = SecondOpinionStream(second)
    stream.feed(played(made_melody(6, 2))[:samples])
    assert len(stream.finish(samples // 3200)) == samples // 3200


def test_the_network_comes_with_its_licence() -> None:
    assert "Apache License" in MODEL.with_name("LICENSE").read_text()
    assert "Spotify" in MODEL.with_name("NOTICE").read_text()


def test_parts_make_no_seams() -> None:
    """What comes again is the same in the middle of a part and across its end, at 32 s."""
    song = played(made_melody(2, 20), chords=True)
    song = song[: 20 * SAMPLE_RATE]
    tune = tune_of(np.concatenate([song, song, song]))
    inner = slice(20, 80)
    first, second = (tune.folded[begin:][inner].astype(int) for begin in (0, 100))
    assert np.abs(first - second).mean() < 2
    assert (tune.contour[0:][inner] == tune.contour[100:][inner]).mean() > 0.97


def test_an_hour_is_not_held() -> None:
    block = played(made_melody(3, 4))[: 4 * SAMPLE_RATE]
    peaks = []
    for seconds in (72, 112):
        tracemalloc.start()
        stream = TuneStream()
        for _ in range(seconds // 4):
            stream.feed(block)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    samples = (112 - 72) * SAMPLE_RATE * 4
    assert peaks[1] - peaks[0] < samples / 5


def test_a_melody_is_the_contour() -> None:
    notes = [(at, 1.0, key) for at, key in enumerate([60.0, 64.0, 67.0, 72.0, 71.0, 65.0])]
    keys = tune_of(played(notes)).contour_keys
    middles = [float(keys[5 * n + 2]) for n in range(len(notes))]
    assert middles == pytest.approx([key for _, _, key in notes], abs=0.35)


def test_the_tuning_is_taken_off() -> None:
    notes = made_melody(4, 12)
    as_is, sharp = tune_of(played(notes)), tune_of(played(notes, key=0.4))
    assert as_is.tuning[0] == pytest.approx(0, abs=0.1)
    assert sharp.tuning[0] == pytest.approx(0.4, abs=0.1)
    alike = np.corrcoef(as_is.unfolded.ravel(), sharp.unfolded.ravel())[0, 1]
    assert alike > 0.9


def test_what_is_held_accompanies() -> None:
    melody = played([(0.5 * n, 0.5, 60.0 + n % 12) for n in range(24)])
    drone = played([(0, 12, 55.0)])
    folded = tune_of(melody + drone).folded.mean(axis=0)
    assert folded[(3 * 55) % 36] < 0.6 * 255


def test_what_is_melodic() -> None:
    assert tune_of(played(made_melody(5, 8), chords=True)).melodic
    assert not tune_of(noise(8)).melodic
    assert not tune_of(np.zeros(8 * SAMPLE_RATE, np.float32)).melodic


def test_what_has_no_melody_takes_no_space() -> None:
    bells = played([(4.0 * n, 0.3, 72.0) for n in range(4)])
    bells += noise(len(bells) / SAMPLE_RATE, 0.001)
    for sound, share in ((bells, 0.1), (noise(12), 0.0)):
        tune = tune_of(sound)
        assert not tune.melodic
        assert len(tune) == 0
        assert tune.harmonic_share == pytest.approx(share, abs=0.05)
        assert sum(array.nbytes for array in tune.arrays().values()) < 16


@pytest.mark.parametrize("samples", [0, 1, 319, 3199, 3200, 9000])
def test_extremely_short(samples: int) -> None:
    sound = played(made_melody(6, 2))[:samples]
    tune = tune_of(sound)
    assert len(tune) == samples // 3200
    assert tune.folded.shape[0] == tune.unfolded.shape[0] == len(tune)
    assert "short" in why_unfit(TuneQuery.from_samples(sound, SAMPLE_RATE))


def test_sizes_an_hour() -> None:
    tune = tune_of(played(made_melody(7, 10)))
    assert tune.unfolded.shape[1] == KEYS
    assert sum(array.nbytes for array in tune.arrays().values()) * 360 < 1.6e6


@pytest.mark.parametrize("hz", [82.0, 130.0, 440.0, 987.0])
def test_hummed_pitch_in_noise(hz: float) -> None:
    key = 69 + 12 * np.log2(hz / 440)
    hum = played([(0, 2, key)])
    track = track_pitch(hum + noise(len(hum) / SAMPLE_RATE, hum.std() / 2))
    assert track.voiced[:95].mean() > 0.95
    assert np.abs(track.keys[:95] - key).max() < 0.5
    assert np.median(track.keys) == pytest.approx(key, abs=0.15)


@pytest.mark.parametrize("hz", [700.0, 1500.0, 2900.0, 3900.0])
def test_whistles_are_not_taken_for_lower_octaves(hz: float) -> None:
    key = 69 + 12 * np.log2(hz / 440)
    whistle = played([(0, 2, key)], harmonics=1)
    track = track_pitch(whistle + noise(len(whistle) / SAMPLE_RATE, 0.02))
    assert track.voiced[:95].mean() > 0.95
    assert np.median(track.keys) == pytest.approx(key, abs=0.4)


def test_what_is_voiced_and_when() -> None:
    """Rests are left out, and the times say so."""
    hum = played([(0.0, 2.0, 60), (4.0, 2.0, 64)]) + noise(6.1, 0.002)
    query = TuneQuery.from_samples(hum, SAMPLE_RATE)
    assert query.voiced_seconds == pytest.approx(4.0, abs=0.3)
    assert not np.any((query.times_ms > 2150) & (query.times_ms < 3850))
    late = query.keys[query.times_ms > 4100]
    assert late == pytest.approx(64, abs=0.3)


def test_other_rates_and_long_queries() -> None:
    hum = played(made_melody(8, 40))
    query = TuneQuery.from_samples(hum, SAMPLE_RATE)
    twice = TuneQuery.from_samples(hum, 2 * SAMPLE_RATE)
    assert len(query.keys) == LONGEST_FRAMES
    assert np.median(twice.keys[:40]) == pytest.approx(np.median(query.keys[:80]) + 12, abs=1)


@pytest.mark.parametrize(
    ("sound", "word"),
    [
        (np.zeros(6 * SAMPLE_RATE, np.float32), "silence"),
        (played(stretch(made_melody(9), 0, 8)) * np.float32(1e-4), "silence"),
        (noise(8), "too little"),
        (mains(8), "constant tone"),
        (played(stretch(made_melody(9), 0, 2)), "too short"),
        (np.concatenate([played(stretch(made_melody(9), 0, 2)), noise(6, 0.1)]), "too little"),
    ],
    ids=["silence", "quiet", "noise", "mains", "short", "mostly noise"],
)
def test_refused_in_words(sound: FloatArray, word: str) -> None:
    assert word in why_unfit(TuneQuery.from_samples(sound, SAMPLE_RATE))


def test_a_hum_is_not_refused() -> None:
    hum = played(stretch(made_melody(9), 0, 4))
    assert why_unfit(TuneQuery.from_samples(hum, SAMPLE_RATE)) == ""


def test_a_stretch_of_a_recording() -> None:
    tune = tune_of(played(made_melody(10, 20)))
    query = TuneQuery.from_tune(tune, 5000, 15_000)
    assert query.seconds == 10
    assert 0 <= query.times_ms[0] < query.times_ms[-1] < 10_000
    assert query.keys.min() >= LOWEST_KEY
    heard = tune.contour_keys[25:75]
    assert np.array_equal(query.keys, heard[~np.isnan(heard)])


def voice(keys: FloatArray) -> FloatArray:
    """A voice whose pitch is one of these each 20 ms."""
    each = np.interp(np.arange(len(keys) * 320) / 320, np.arange(len(keys)), keys)
    phase = 2 * np.pi * np.cumsum(440 * 2 ** ((each - 69) / 12)) / SAMPLE_RATE
    return np.asarray(sum(np.sin(n * phase) / n for n in range(1, 7)) * 0.15, np.float32)


def test_speech_is_refused() -> None:
    """A voice that glides by 6 semitones in a third of a second and back, as in speech."""
    t = np.arange(400) * 0.02
    gliding = TuneQuery.from_samples(voice(50 + 3 * np.sin(3 * np.pi * t)), SAMPLE_RATE)
    assert "speech" in why_unfit(gliding)


@pytest.mark.parametrize("vibrato", [0.0, 0.4, 0.8])
def test_a_vibrato_is_no_speech(vibrato: float) -> None:
    t = np.arange(400) * 0.02
    notes = np.repeat([57.0, 59, 61, 57, 64, 62, 61, 59], 50)
    sung = voice(notes + vibrato * np.sin(2 * np.pi * 5.5 * t))
    assert why_unfit(TuneQuery.from_samples(sung, SAMPLE_RATE)) == ""


def test_what_is_held() -> None:
    keys = np.concatenate([np.full(20, 60.0), np.linspace(60, 72, 20), np.full(5, 72.0)])
    voiced = np.ones(45, bool)
    assert held_share(keys, voiced) == pytest.approx(0.5, abs=0.12)
    assert held_share(keys, np.zeros(45, bool)) == 0
    assert held_share(keys[:7], voiced[:7]) == 0


def test_one_voice_is_asked_for_by_its_pitch() -> None:
    hum = played(stretch(made_melody(9), 0, 6))
    hum += noise(len(hum) / SAMPLE_RATE, 0.02)
    query = TuneQuery.of_sound(hum, SAMPLE_RATE)
    assert np.array_equal(query.keys, TuneQuery.from_samples(hum, SAMPLE_RATE).keys)


def test_several_sounds_are_asked_for_by_what_leads() -> None:
    song = played(made_melody(10, 12), chords=True)
    query = TuneQuery.of_sound(song, SAMPLE_RATE)
    assert np.array_equal(query.keys, TuneQuery.from_tune(tune_of(song), 0, 20_000).keys)
    assert why_unfit(query) == ""
    assert query.level == TuneQuery.from_samples(song, SAMPLE_RATE).level


def test_scipy_and_numba_are_not_loaded_beforehand() -> None:
    code = (
        "import sys, audiosearch.engine.tunes.analysis, audiosearch.engine.tunes.matching\n"
        "assert not {'scipy', 'numba', 'soxr', 'onnxruntime'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
