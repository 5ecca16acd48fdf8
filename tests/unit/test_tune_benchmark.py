"""The songs, hums and shares that `benchmarks.tunes` measures with."""

from pathlib import Path

import numpy as np
import pytest

from audiosearch.engine.tunes.analysis import tune_of
from audiosearch.engine.tunes.pitch import track_pitch
from audiosearch.engine.tunes.probability import MEASURES
from audiosearch.engine.tunes.salience import SAMPLE_RATE
from benchmarks.tunes import told
from benchmarks.tunes_calibration import Answered, fitted, held_out, kept, reliability
from benchmarks.tunes_catalogue import Rendering
from benchmarks.tunes_hummed import Skill, hum
from benchmarks.tunes_known import KNOWN, TOKEN, known_tunes
from benchmarks.tunes_made import made_tune
from benchmarks.tunes_played import DRUMS, LEAD, PACKAGES, arranged, play, why_missing

FONT = Path(list(PACKAGES)[1])
FLAWLESS = Skill(pitch=0, time=0, drift=0, left_out=0)
EVEN = [(0.5 * beat, 0.5, 60.0 + 2 * (beat % 2)) for beat in range(60)]


def test_melodies_that_are_known_are_written_as_they_are_read():
    assert len(KNOWN) >= 40
    for name, (written, tune) in zip(
        KNOWN, zip(KNOWN.values(), known_tunes(), strict=True), strict=True
    ):
        notation = written.split(maxsplit=2)[2].replace(" ", "")
        assert "".join("".join(token) for token in TOKEN.findall(notation)) == notation, name
        assert tune.seconds[-1][0] > 12.5, f"{name} is too short to be asked for"
        assert len({note.key for note in tune.melody}) >= 4, name


def test_an_arrangement_is_the_same_every_time_and_another_of_another_seed():
    tune = made_tune(1)
    assert arranged(tune, 2).events == arranged(tune, 2).events
    assert arranged(tune, 2).events != arranged(tune, 3).events


def test_who_plays_alone_plays_the_melody_and_nothing_else():
    tune = made_tune(1)
    events = arranged(tune, 2, key=3, speed=1.1, alone=True).events
    played = [(at, one) for at, one in events if one.type == "note_on"]
    assert {one.channel for _, one in played} == {LEAD}
    assert [one.note - 3 for _, one in played] == [note.key for note in tune.melody]
    starts = [start / 1.1 for start, _, _ in tune.seconds]
    assert np.abs(np.array([at for at, _ in played]) - starts).max() < 0.1


def test_the_melody_has_company_and_drums_have_no_key():
    tune = made_tune(1)
    arrangements = [arranged(tune, seed, key=5) for seed in range(12)]
    channels = [{one.channel for _, one in song.events} for song in arrangements]
    assert all(len(own) >= 2 for own in channels)
    drums = {
        one.note
        for song in arrangements
        for _, one in song.events
        if one.type == "note_on" and one.channel == DRUMS
    }
    assert drums == {36, 38, 42}


@pytest.mark.skipif(bool(why_missing([FONT])), reason=why_missing([FONT]))
def test_songs_that_are_played_in_one_go_are_cut_where_each_begins():
    songs = [arranged(made_tune(n), n, alone=True) for n in (3, 4)]
    together = list(play(songs, FONT))
    alone = next(play(songs[1:], FONT))
    for one, song in zip(together, songs, strict=True):
        assert abs(len(one) / SAMPLE_RATE - song.seconds - 1) < 0.01
    loudness = [np.abs(one[:400_000]).reshape(-1, 800).mean(axis=1) for one in (together[1], alone)]
    assert np.corrcoef(*loudness)[0, 1] > 0.95
    tune = tune_of(alone)
    start, length, key = made_tune(4).seconds[2]
    heard = np.nanmedian(tune.contour_keys[round(5 * start + 1) : round(5 * (start + length))])
    assert abs((heard - key + 6) % 12 - 6) < 0.7


def test_what_is_missing_is_named_by_its_package():
    missing = why_missing([Path("/usr/share/sounds/sf2/none.sf2")])
    assert "none.sf2" in missing


def test_who_hastens_plays_the_last_notes_faster_than_the_first_or_slower():
    gaps = []
    for seed in range(6):
        made = hum(EVEN, np.random.default_rng(seed), FLAWLESS, 10, hastening=0.4)
        track = track_pitch(made.samples)
        changes = np.flatnonzero(np.abs(np.diff(np.round(track.keys[track.voiced] / 2))) > 0)
        onsets = np.flatnonzero(track.voiced)[changes]
        apart = np.diff(onsets[np.diff(onsets, prepend=-99) > 5])
        gaps.append(np.median(apart[:6]) / np.median(apart[-6:]))
    assert max(gaps) > 1.15
    assert min(gaps) < 0.87


def test_who_drifts_ends_higher_or_lower_than_they_began():
    steady = [(0.5 * beat, 0.5, 60.0) for beat in range(60)]
    drifts = []
    for seed in range(6):
        made = hum(steady, np.random.default_rng(seed), FLAWLESS, 10, drifting=12)
        keys = track_pitch(made.samples).keys
        drifts.append(np.median(keys[450:490]) - np.median(keys[10:50]))
    assert np.abs(np.abs(drifts) - 12 * 8.8 / 60).max() < 0.4
    assert {drift > 0 for drift in drifts} == {True, False}


def test_a_phone_sends_no_low_tones_and_clips():
    low = [(0.5 * beat, 0.5, 48.0 + beat % 3) for beat in range(60)]
    quiet, by_phone = (
        hum(low, np.random.default_rng(1), FLAWLESS, 5, phone=phone).samples
        for phone in (False, True)
    )
    share = []
    for sound in (quiet, by_phone):
        power = np.square(np.abs(np.fft.rfft(sound)))
        share.append(power[: round(200 * len(sound) / SAMPLE_RATE)].sum() / power.sum())
    assert share[0] > 0.2 > 0.05 > share[1]
    assert (np.abs(by_phone) >= 0.999 * by_phone.max()).sum() > 100


def test_an_analysis_is_kept_by_all_that_it_depends_on():
    one = Rendering(FONT, 60, 60)
    others = [
        Rendering(Path("other.sf2"), 60, 60),
        Rendering(FONT, 61, 60),
        Rendering(FONT, 60, 61),
        Rendering(FONT, 60, 60, 1),
        Rendering(FONT, 60, 60, 0, 1.1),
        Rendering(FONT, 60, 60, alone=True),
    ]
    assert len({one.name, *(other.name for other in others)}) == 7


def test_shares_are_told_with_their_interval():
    assert told(50, 100) == "0.50 (0.40–0.60)"
    assert told(0, 100) == "0.00 (0.00–0.04)"


def test_the_logit_is_found_that_answers_were_made_by():
    rng = np.random.default_rng(1)
    answers = []
    for query in range(4000):
        measures = np.zeros((2, len(MEASURES)))
        measures[:, 0] = rng.normal(2, 1)
        measures[0, -1] = measures[1, -1] = rng.normal(0, 2)
        measures[1, MEASURES.index("below")] = rng.uniform(0, 1)
        logits = measures @ [2.0, -3.0, 0.0, 0.0, 0.0, -0.5] - 3
        right = rng.random(2) < 1 / (1 + np.exp(-logits))
        answers.append(Answered(query, 200, True, measures, right))
    constant, weights = fitted(answers)
    assert constant == pytest.approx(-3, abs=0.3)
    assert weights == pytest.approx([2.0, -3.0, 0.0, 0.0, 0.0, -0.5], abs=0.4)
    held = held_out(answers)
    errors = reliability(answers, held)[-1]
    assert max(errors["right first"], errors["right behind"]) < 0.03
    assert 0.4 < kept(answers, held)[0]["right ≥ 0.7"] < 1
