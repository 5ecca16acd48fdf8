"""Evaluations on labelled files: one recording at a time, the same figures, files named."""

import subprocess
import sys
import tracemalloc
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from django.core.management import CommandError, call_command

from apps.voices.conditions import CUTS_MS, NOISES_DB, WHOLE, embed_conditions
from apps.voices.evaluation import SpeakerEvaluation, evaluate_speakers
from apps.voices.labels import Labelled
from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.audio.sandbox import decode
from audiosearch.engine.errors import AudioError
from audiosearch.engine.voice.speech import RATE, find_speech
from tests.audio_files import tone
from tests.fake_encoder import Fake
from tests.voices import speak

ROOT = Path(__file__).parents[2]
Recordings = list[tuple[Path, str]]


def record(folder: Path, speakers: int, each: int, seconds: float) -> Recordings:
    recordings = []
    for seed in range(speakers):
        for words in range(each):
            path = folder / f"{seed}-{words}.wav"
            soundfile.write(path, speak(seed, seconds, words), RATE)
            recordings.append((path, f"voice {seed}"))
    return recordings


def unwatched(what: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


def evaluate(recordings: Recordings, *, cohort: bool = False) -> SpeakerEvaluation:
    return evaluate_speakers(
        Labelled(recordings),
        far_target=0.02,
        encoder=Fake(Path()),
        cohort=cohort,
        progress=unwatched,
    )


def embedded(samples: FloatArray) -> FloatArray:
    return Fake(Path()).encode(find_speech(samples).samples[None]).embeddings[0]


def test_memory_does_not_grow_with_the_recordings(tmp_path: Path) -> None:
    seconds = 3
    held: dict[int, int] = {}  # when each recording comes up

    def weigh(what: str, done: int, total: int) -> None:
        held.setdefault(done, tracemalloc.get_traced_memory()[0])

    recordings = record(tmp_path, speakers=2, each=5, seconds=seconds)
    tracemalloc.start()
    embed_conditions(recordings, Fake(Path()), cohort=True, progress=weigh)
    tracemalloc.stop()
    assert held[9] - held[1] < seconds * RATE * np.dtype(np.float32).itemsize


def test_noise_is_the_same_for_the_same_recordings(tmp_path: Path) -> None:
    """One generator a condition runs through them; those without speech take nothing of it."""
    recordings = record(tmp_path, speakers=3, each=1, seconds=2)
    soundfile.write(tmp_path / "tone.wav", np.zeros(RATE), RATE)
    found = embed_conditions(
        [recordings[0], (tmp_path / "tone.wav", "nobody"), *recordings[1:]],
        Fake(Path()),
        cohort=True,
        progress=unwatched,
    )
    assert {len(voices) for voices in found.values()} == {3}
    for name, snr_db, seed in (("noise, 10 dB", 10, 0), ("cohort, 10 dB", 10, 1)):
        rng = np.random.default_rng([snr_db, seed])
        for voice, (path, _) in zip(found[name], recordings, strict=True):
            samples = decode(path, RATE)
            level = np.sqrt(np.mean(np.square(samples, dtype=np.float64)))
            noise = rng.normal(0, level * 10 ** (-snr_db / 20), len(samples))
            expected = embedded((samples + noise).astype(np.float32))
            assert np.allclose(voice.embedding, expected, atol=1e-6)
    for voice, (path, _) in zip(found["1 s"], recordings, strict=True):
        cut = find_speech(decode(path, RATE)).samples[:RATE]
        assert np.array_equal(voice.embedding, Fake(Path()).encode(cut[None]).embeddings[0])
        assert voice.speech_ms == 1000


def test_progress_is_told_while_a_recording_is_decoded(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    embed_conditions(
        record(tmp_path, speakers=1, each=1, seconds=5),
        Fake(Path()),
        cohort=False,
        progress=lambda *one: told.append(one),
    )
    assert told.count(("decode", 0, 1)) >= 5
    assert [what for what, _, _ in told if what != "decode"] == [WHOLE, *CUTS_MS, *NOISES_DB]


@pytest.mark.django_db
@pytest.mark.exhaustive
def test_speakers_become_a_cohort(tmp_path: Path) -> None:
    recordings = record(tmp_path, speakers=30, each=1, seconds=2)
    found = evaluate(recordings + recordings[:10], cohort=True)
    assert found.cohort is not None
    assert found.cohort.shape == (4 * 30, 32)
    assert np.allclose(np.linalg.norm(found.cohort, axis=1), 1, atol=1e-5)
    with pytest.raises(ValueError, match="at least 30 speakers; these are 29"):
        evaluate(recordings[1:], cohort=True)


@pytest.mark.django_db
@pytest.mark.exhaustive
def test_recordings_without_speech_are_left_out(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    silence = (tmp_path / "silence.wav", "voice 0")
    found = evaluate([silence, *record(tmp_path, speakers=2, each=5, seconds=2)])
    assert found.unheard == [str(tmp_path / "silence.wav")]
    assert (found.recordings, found.speakers) == (10, 2)
    with pytest.raises(ValueError, match="No speech"):
        evaluate([silence])


@pytest.mark.parametrize("content", [b"", b"nothing that plays", b"RIFF____WAVE", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "one.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioError, match=r"/one\.wav: "):
        evaluate([(path, "one")])
    (tmp_path / "labels.csv").write_text("path,label\none.wav,sound\n")
    with pytest.raises(CommandError, match=r"/one\.wav: "):
        call_command("evaluate_search", str(tmp_path / "labels.csv"), "--encoder", "fake")


def test_files_search_each_other(tmp_path: Path) -> None:
    rows = ["path,label"]
    for hz in (300, 310, 2000, 2010):
        soundfile.write(tmp_path / f"{hz}.wav", tone(1, hz), 32000)
        rows.append(f"{hz}.wav,{'low' if hz < 1000 else 'high'}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    out = StringIO()
    call_command("evaluate_search", str(tmp_path / "labels.csv"), "--encoder", "fake", stdout=out)
    assert "queries          4" in out.getvalue()
    assert "P@1              1.000" in out.getvalue()
    assert "index recall@10  1.000" in out.getvalue()


def test_matplotlib_is_loaded_only_to_draw() -> None:
    code = (
        "import os, sys, django\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'\n"
        "django.setup()\n"
        "import apps.voices.measuring, apps.voices.management.commands.evaluate_voices\n"
        "assert 'matplotlib' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
