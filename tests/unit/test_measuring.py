"""Measuring voices: on the page, from a trial list, and with another encoder."""

import json
import sys
from collections.abc import Callable
from io import StringIO
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.test import Client

from apps.analysis.index import get_index
from apps.jobs.models import State
from apps.voices import measuring
from apps.voices.embedding import embed_voice
from apps.voices.enrolling import enrol
from apps.voices.erasing import erase_speaker, unenrol
from apps.voices.labels import read_labelled, read_speakers
from apps.voices.models import Enrolment, Measurement, OperatingPoint, Speaker
from apps.voices.recognition import identify, verify_voices
from apps.voices.tasks import reconcile
from audiosearch.engine.analyzers.registry import ANALYZERS
from audiosearch.engine.analyzers.speaker.resemblyzer import Resemblyzer
from audiosearch.engine.audio.sandbox import decode
from audiosearch.engine.errors import ModelUnavailable
from audiosearch.engine.voice.speech import RATE
from tests.voices import speak

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("synthesised_threshold"),
]
LIBRISPEECH = Path(__file__).parents[3] / "shared" / "data" / "librispeech"
SEEDS = (2, 3, 4, 31, 34)
Enrol = Callable[[int, int], Speaker]


class Other(Resemblyzer):
    """The same model, as another version."""

    spec = type(Resemblyzer.spec)(**{**vars(Resemblyzer.spec), "version": 2})


def write(folder: Path, seed: int, words: int) -> Path:
    path = folder / f"{seed}-{words}.wav"
    soundfile.write(path, np.pad(speak(seed, 6, words), RATE // 2), RATE)
    return path


@pytest.fixture
def enrolled(tmp_path: Path) -> Enrol:
    """enrolled(seed, count): a speaker known by so many recordings."""

    def make(seed: int, count: int) -> Speaker:
        speaker = Speaker.objects.create(
            name=f"Voice {seed}", consent_by="them", consent_on="2026-01-01"
        )
        for words in range(count):
            enrol(speaker=speaker, source=write(tmp_path, seed, words), name="a.wav", by=None)
        return speaker

    return make


@pytest.mark.exhaustive
def test_staff_measure_on_what_is_enrolled(
    curator: Client, enrolled: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "FAR_TARGET", 0.02)
    for seed in SEEDS:
        enrolled(seed, 3)
    asked = curator.post("/voices/thresholds/measure/")
    row = Measurement.objects.get()
    assert asked.headers["Location"] == f"/voices/measurements/{row.pk}/"
    assert "Measuring" in curator.get(asked.headers["Location"]).content.decode()
    again = curator.post("/voices/thresholds/measure/")
    assert again.headers["Location"] == asked.headers["Location"]
    assert measuring.measure_queued() == 1
    page = curator.get(f"/voices/measurements/{row.pk}/").content.decode()
    assert "15 recordings of 5 speakers: 15 pairs of one voice, 90 of two" in page
    for name in ("det", "thresholds", "scores"):
        drawn = curator.get(f"/voices/measurements/{row.pk}/{name}.svg")
        assert drawn.headers["Content-Type"] == "image/svg+xml"
        assert b"<svg" in drawn.content
    assert curator.get(f"/voices/measurements/{row.pk}/other.svg").status_code == 404
    assert curator.post(f"/voices/measurements/{row.pk}/apply/").status_code == 302
    point = OperatingPoint.objects.get(in_force=True)
    assert point.source.startswith("enrolled recordings")
    assert (point.genuine, point.impostor) == (15, 90)
    shown = curator.get("/voices/thresholds/").content.decode()
    assert "enrolled recordings" in shown
    assert "EER" in shown


@pytest.mark.exhaustive
def test_few_pairs_do_not_decide(curator: Client, enrolled: Enrol) -> None:
    for seed in SEEDS[:2]:
        enrolled(seed, 4)
    curator.post("/voices/thresholds/measure/")
    measuring.measure_queued()
    row = Measurement.objects.get()
    page = curator.get(f"/voices/measurements/{row.pk}/").content.decode()
    assert "16 pairs of two voices cannot show" in page
    assert "Use these thresholds" not in page
    answer = curator.post(f"/voices/measurements/{row.pk}/apply/", follow=True)
    assert "1000 are needed" in answer.content.decode()
    assert OperatingPoint.objects.get(in_force=True).source == "synthesised voices"


def test_too_little_to_measure_says_so(curator: Client, enrolled: Enrol) -> None:
    curator.post("/voices/thresholds/measure/")
    measuring.measure_queued()
    assert "Nobody is enrolled" in Measurement.objects.get().reason
    enrolled(2, 2)
    curator.post("/voices/thresholds/measure/")
    measuring.measure_queued()
    row = Measurement.objects.latest("pk")
    assert row.state == State.FAILED
    assert "too few" in row.reason
    assert "too few" in curator.get(f"/voices/measurements/{row.pk}/").content.decode()
    assert curator.post(f"/voices/measurements/{row.pk}/apply/").status_code == 404


def test_members_do_not_measure(member: Client) -> None:
    assert member.post("/voices/thresholds/measure/").status_code == 403
    assert member.get("/voices/measurements/1/").status_code == 403


@pytest.mark.exhaustive
def test_a_trial_list_is_measured(tmp_path: Path) -> None:
    lines = []
    files = {
        (seed, words): write(tmp_path, seed, words).name for seed in SEEDS for words in range(3)
    }
    for (seed, words), name in files.items():
        for (other, again), second in files.items():
            if (seed, words) < (other, again):
                lines.append(f"{int(seed == other)} {name} {second}")
    (tmp_path / "trials.txt").write_text("\n".join(lines))
    found = read_labelled(tmp_path / "trials.txt")
    assert len(found.recordings) == 15
    out = StringIO()
    call_command("evaluate_voices", str(tmp_path / "trials.txt"), stdout=out)
    assert "15 recordings" in out.getvalue()
    assert "15+90" in out.getvalue()
    assert "identifying" not in out.getvalue()


def test_a_cohort_takes_many(tmp_path: Path) -> None:
    write(tmp_path, 2, 0)
    (tmp_path / "labels.csv").write_text("path,speaker\n2-0.wav,one\n")
    with pytest.raises(CommandError, match="at least 30 speakers"):
        call_command("evaluate_voices", str(tmp_path / "labels.csv"), "--cohort")


@pytest.mark.exhaustive
@pytest.mark.skipif(not LIBRISPEECH.exists(), reason="needs the recordings of LibriSpeech")
def test_readers_become_a_cohort_and_noise_fools_nobody(tmp_path: Path) -> None:
    """Six seconds of each of 36 readers in force, and pairs of others in the same noise."""
    OperatingPoint.objects.all().delete()
    readers = read_speakers(LIBRISPEECH / "speakers.csv")
    with (tmp_path / "labels.csv").open("w") as file:
        file.write("path,speaker\n")
        for path, who in readers[:60:3] + readers[-30:]:
            soundfile.write(tmp_path / f"{path.stem}.wav", decode(path, RATE)[: 6 * RATE], RATE)
            file.write(f"{path.stem}.wav,{who}\n")
    options = ["--cohort", "--apply", "--out", str(tmp_path / "out")]
    call_command("evaluate_voices", str(tmp_path / "labels.csv"), *options, stdout=StringIO())
    row = OperatingPoint.objects.get(in_force=True)
    cohort = np.load(tmp_path / "out" / "cohort.npy")
    assert bytes(row.cohort) == cohort.astype("<f2").tobytes()
    assert row.dimension == 256
    rng = np.random.default_rng(0)
    voices = []
    for number, (path, _) in enumerate(readers[60:74]):
        samples = decode(path, RATE)
        noisy = samples + rng.normal(0, 0.3 * samples.std(), len(samples)).astype(np.float32)
        soundfile.write(tmp_path / f"{number}.wav", noisy, RATE)
        voices.append(embed_voice(tmp_path / f"{number}.wav"))
    verdicts = [
        verify_voices(voice=one, other=other, by=None) for one, other in combinations(voices, 2)
    ]
    assert sum(verdict.same for verdict in verdicts) <= 1


def test_a_line_that_is_no_trial(tmp_path: Path) -> None:
    (tmp_path / "trials.txt").write_text("1 a.wav b.wav\n\nmaybe a.wav c.wav\n")
    with pytest.raises(CommandError, match="Line 3"):
        call_command("evaluate_voices", str(tmp_path / "trials.txt"))


def test_an_encoder_that_hears_no_voices(settings: Any, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="does not hear voices"):
        call_command("evaluate_voices", str(tmp_path), "--encoder", "spectral")
    assert not [found for found in run_checks() if found.id == "voices.E001"]
    settings.VOICE_ENCODER = "spectral"
    (found,) = [found for found in run_checks() if found.id == "voices.E001"]
    assert "resemblyzer" in str(found.hint)


def test_enrolling_needs_no_threshold(
    enrolled: Enrol, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ANALYZERS, "other", f"{__name__}.Other")
    settings.VOICE_ENCODER = "other"
    speaker = enrolled(31, 1)
    assert speaker.enrolments.get().space.name == "resemblyzer-v2"
    with pytest.raises(ModelUnavailable, match="measure it"):
        identify(voice=embed_voice(Path(speaker.tracks.get().file.path)), by=None)


def test_another_encoder_hears_what_is_enrolled(
    enrolled: Enrol, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = enrolled(31, 2), enrolled(34, 1)
    monkeypatch.setitem(ANALYZERS, "other", f"{__name__}.Other")
    settings.VOICE_ENCODER = "other"
    before = OperatingPoint.objects.get()
    OperatingPoint.objects.create(
        **{**{key: getattr(before, key) for key in ("far_target", "points", "source")}},
        space="resemblyzer-v2",
        genuine=10,
        impostor=10,
        in_force=True,
    )
    reconcile()
    assert Enrolment.objects.filter(space__name="resemblyzer-v2").count() == 3
    assert identify(voice=embed_voice(write(tmp_path, 34, 9)), by=None).speaker == second
    reconcile()
    assert Enrolment.objects.count() == 6
    unenrol(enrolment=first.enrolments.filter(space__name="resemblyzer-v2")[0], by=None)
    erase_speaker(speaker=second, by=None)
    for space in ("resemblyzer-v1", "resemblyzer-v2"):
        assert len(get_index().window_counts(space)) == 1
    assert Enrolment.objects.count() == 2


@pytest.fixture
def no_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules, "matplotlib"]:
        if name.partition(".")[0] == "matplotlib":
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "apps.voices.plots", raising=False)


@pytest.mark.exhaustive
def test_without_matplotlib_there_are_no_plots(
    no_matplotlib: None, curator: Client, enrolled: Enrol
) -> None:
    for seed in SEEDS[:2]:
        enrolled(seed, 5)
    curator.post("/voices/thresholds/measure/")
    measuring.measure_queued()
    row = Measurement.objects.get()
    page = curator.get(f"/voices/measurements/{row.pk}/").content.decode()
    assert "10 recordings of 2 speakers" in page
    assert "Measured without plots: matplotlib" in page
    assert "requirements-plots.txt" in page
    assert f"/voices/measurements/{row.pk}/det.svg" not in page


@pytest.mark.exhaustive
def test_without_matplotlib_there_is_a_report(
    no_matplotlib: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)  # where nothing may be installed
    rows = [f"{write(tmp_path, seed, words)},{seed}\n" for seed in SEEDS[:2] for words in range(5)]
    (tmp_path / "labels.csv").write_text("path,speaker\n" + "".join(rows))
    said = StringIO()
    options = ["--out", str(tmp_path / "out")]
    labels = str(tmp_path / "labels.csv")
    call_command("evaluate_voices", labels, *options, stdout=StringIO(), stderr=said)
    assert json.loads((tmp_path / "out" / "report.json").read_text())["recordings"] == 10
    assert not (tmp_path / "out" / "det.svg").exists()
    assert "requirements-plots.txt" in said.getvalue()
