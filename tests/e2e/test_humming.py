"""Humming a tune: what is drawn meanwhile, what is asked, and how the answer is played."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from django.contrib.auth import get_user_model
from django.test import Client
from playwright.sync_api import Page, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from apps.analysis.answers import Answer, AnswerHit
from apps.catalog.models import Track
from apps.catalog.services.adding import add_track
from audiosearch.engine.tunes.salience import SAMPLE_RATE
from tests.e2e.conftest import CHROMIUM, FLAGS
from tests.fake_answerers import Tune
from tests.tune_sounds import played

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
SCALE = (48.0, 50.0, 52.0, 53.0, 55.0)
HUM_MS = 2500
KEY_DIFFERENCE = -17
"""An octave and a fourth below the song, so seven semitones above it, or five below, in its key."""


@pytest.fixture
def song(tmp_path: Path, transactional_db: None) -> Track:
    """The same scale, higher and slower, from its third second on."""
    notes = [(2 + 0.625 * at, 0.625, key - KEY_DIFFERENCE) for at, key in enumerate(SCALE)]
    path = tmp_path / "Scale.wav"
    soundfile.write(path, played(notes), SAMPLE_RATE)
    return add_track(source=path, name=path.name).track


@pytest.fixture
def answered(song: Track, settings: Any) -> Iterator[None]:
    """What asks for the tune of a hum is told that it is the song's."""
    others = {"sounds_alike": settings.ANSWERS["sounds_alike"]}
    settings.ANSWERS = {**others, "same_tune": "tests.fake_answerers.Tune"}
    keys = [SCALE[at // 3] - KEY_DIFFERENCE for at in range(15)]
    contours = {"step_ms": 200, "begin_ms": 2000, "song": [*keys, None], "asked": [None, *keys]}
    evidence = {"key_difference": KEY_DIFFERENCE, "score": 0.4, "contours": contours}
    hit = AnswerHit(
        track_id=song.pk,
        probability=0.93,
        start_ms=2000,
        end_ms=2000 + 1250 * HUM_MS // 1000,
        query_start_ms=500,
        query_end_ms=500 + HUM_MS,
        speed=1.25,
        evidence=evidence,
    )
    Tune.found = Answer("match", "", [hit])
    yield
    Tune.found = Answer("none", "")


@pytest.fixture
def page(answered: None, live_server: LiveServer, tmp_path: Path) -> Iterator[Page]:
    """The search page, of somebody who hums the scale again and again."""
    client = Client()
    client.force_login(get_user_model().objects.create_user("member"))
    hum = tmp_path / "hum.wav"
    notes = [(at * 0.5, 0.5, key) for at, key in enumerate(SCALE)]
    soundfile.write(hum, 0.2 * played(notes), SAMPLE_RATE)
    session = {"name": "sessionid", "value": client.cookies["sessionid"].value}
    hearing = [*FLAGS, f"--use-file-for-fake-audio-capture={hum}"]
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=hearing)
        context = browser.new_context()
        context.add_cookies([{**session, "url": live_server.url}])  # type: ignore[typeddict-item]
        page = context.new_page()
        expect.set_options(timeout=15_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(live_server.url)
        yield page
        browser.close()
    assert errors == []


def test_a_hum_is_drawn_asks_for_its_tune_and_is_played_with_the_song(page: Page) -> None:
    hum = page.get_by_role("button", name="Hum or whistle a tune")
    hum.press("Enter")
    told = page.locator("hum-recorder [role=status]")
    expect(told).to_have_text("I hear you")
    expect(page.get_by_role("img", name="The pitch of what you hum")).to_be_visible()
    page.keyboard.press("Escape")
    expect(told).to_have_text("Cancelled.")
    expect(hum).to_be_focused()
    hum.press("Enter")
    expect(page.get_by_role("button", name="Stop and search")).to_be_focused()
    heard = page.evaluate("document.querySelector('hum-recorder').frames.map(({key}) => key)")
    sung = [key for key in heard if key is not None]
    assert len(sung) > 45, "of some 90 frames, among them those between notes"
    off = [min(abs(key - note) for note in SCALE) for key in sung]
    assert np.quantile(off, 0.9) < 0.2
    assert {round(key) for key in sung} >= set(SCALE)
    later: list[str] = []
    page.on("request", lambda request: later.append(request.url.rstrip("/").rpartition("/")[2]))
    page.keyboard.press("Enter")
    page.wait_for_url("**/searches/**")
    expect(page.locator("input[name=first]")).to_have_value("same_tune")
    expect(page.locator(".answers > .waiting")).to_have_count(0)
    assert "sounds_alike" in later
    assert "same_tune" not in later, "it came with the page"
    _look_at_the_answer(page)


def _look_at_the_answer(page: Page) -> None:
    answer = page.locator(".answers > section").first
    expect(answer.locator("h2")).to_contain_text("This is the tune of Scale, from 0:02 to 0:05")
    expect(answer).to_contain_text("17 semitones lower than the song, about an octave and a fourth")
    expect(answer).to_contain_text("25 % faster than the song")
    chart = answer.get_by_role("img", name="The melodies of Scale, from 0:02 to 0:05")
    expect(chart.locator(".line")).to_have_count(2)
    head = chart.locator(".playhead")
    page.evaluate(NOTE_WHAT_SOUNDS)
    for label in ("Your hum", "The song there", "Together"):
        answer.get_by_role("button", name=label).press("Enter")
        page.wait_for_function("(label) => sounded.has(label)", arg=label)
    keys = page.locator("tune-comparison").evaluate(KEYS_OF_THE_SONG)
    assert keys == pytest.approx([key + 12 for key in SCALE], abs=0.2), "when they are hummed"
    page.keyboard.press("Escape")
    expect(answer.locator("[aria-pressed=true]")).to_have_count(0)
    expect(head).to_have_attribute("visibility", "hidden")


NOTE_WHAT_SOUNDS = """() => {
    window.sounded = new Set();
    const comparison = document.querySelector('tune-comparison');
    new MutationObserver(() => {
        const pressed = comparison.querySelectorAll('[aria-pressed=true]:not([aria-busy])');
        const head = comparison.querySelector('.playhead').getAttribute('visibility');
        if (pressed.length === 1 && head === 'visible') sounded.add(pressed[0].textContent);
    }).observe(comparison, {subtree: true, attributes: true});
}"""
KEYS_OF_THE_SONG = """async ({ player }) => {
    const { pitchOf } = await import('/static/js/pitch-tracker.js');
    const rate = player.adapted.length / player.asked.seconds;
    const until = (seconds) => player.adapted.subarray(0, Math.round(seconds * rate));
    return [0.4, 0.9, 1.4, 1.9, 2.4].map((at) => pitchOf(until(at), rate).key);
}"""
SINE = """(hz, rate) => Float32Array.from(
    {length: 2 * rate}, (_, i) => Math.sin(2 * Math.PI * hz * i / rate) / 2)"""
PITCHES = f"""async () => {{
    const {{ pitchOf }} = await import('/static/js/pitch-tracker.js');
    const sine = {SINE};
    const rate = 48000;
    const hum = (hz) => [1, 2, 3, 4].map((n) => sine(n * hz, rate)).reduce(
        (sum, wave, n) => sum.map((one, i) => one + wave[i] * [0.1, 0.5, 0.3, 0.1][n]));
    const noise = () => sine(1, rate).map(() => Math.random() - 0.5);
    return {{
        sine: [80, 220, 440].map((hz) => pitchOf(sine(hz, rate), rate).hz / hz),
        hum: [80, 150, 300].map((hz) => pitchOf(hum(hz), rate).hz / hz),
        whistle: [2000, 2400].map((hz) => pitchOf(sine(hz, rate), rate).hz / hz),
        noise: [1, 2, 3].map(() => pitchOf(noise(), rate).hz),
        silence: [pitchOf(new Float32Array(8192), rate).hz],
    }};
}}"""
HINTS = """async () => {
    const { hintOf } = await import('/static/js/hum-hints.js');
    const frames = (key, level) => Array.from(
        {length: 150}, (_, i) => ({at: i / 30, key: key(i), level}));
    return [
        hintOf(frames((i) => 60 + Math.floor(i / 15), 0.1)),
        hintOf(frames((i) => 60 + 0.1 * Math.sin(i), 0.1)),
        hintOf(frames(() => null, 0.0005)),
        hintOf(frames(() => null, 0.1)),
    ];
}"""
CHANGES = f"""async () => {{
    const {{ changed }} = await import('/static/js/time-stretch.js');
    const {{ pitchOf }} = await import('/static/js/pitch-tracker.js');
    const sine = {SINE};
    const rate = 22050;
    return [[0, 1.3], [5, 1], [-6, 0.7], [-3, 1.25]].map(([semitones, duration]) => {{
        const made = changed(sine(440, rate), rate, {{ semitones, duration }});
        const middle = made.subarray(0, made.length / 2);
        const energy = middle.reduce((sum, one) => sum + one * one, 0);
        return [
            pitchOf(middle, rate).hz / (440 * 2 ** (semitones / 12)),
            made.length / (2 * rate * duration),
            Math.sqrt((8 * energy) / middle.length),
        ];
    }});
}}"""


def test_pitches_are_told_and_changed_within_a_percent(page: Page) -> None:
    heard = page.evaluate(PITCHES)
    for kind in ("sine", "hum", "whistle"):
        assert heard[kind] == pytest.approx([1] * len(heard[kind]), rel=0.01), kind
    assert heard["noise"] == [None, None, None]
    assert heard["silence"] == [None]
    assert page.evaluate(HINTS) == [
        "I hear you",
        "That is one note; hum a tune",
        "Too quiet: hum closer to the microphone",
        "I hear a sound, but no tune: hum or whistle",
    ]
    for ratios in page.evaluate(CHANGES):
        assert ratios == pytest.approx([1, 1, 1], rel=0.01)
