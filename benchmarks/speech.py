"""Measure what is taken for speech: sounds in which nobody speaks, and people who do.

    python -m benchmarks.speech SOUNDS.csv SPEAKERS.csv [--json]

SOUNDS.csv has the columns path and label, as ESC-10: by label, in how many sounds WebRTC alone and
`find_speech` find 0.3 s of speech or more (identification and verification take those), how many
may be enrolled by, and in how many somebody speaks by diarization. SPEAKERS.csv has the columns
path and speaker, as LibriSpeech: which share of what WebRTC's detector takes for speech in it is
kept, on the whole and in the worst recording, whole and in white noise. Readers pause little and
record in quiet, where WebRTC's detector is right: it is the reference there.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from audiosearch.engine.arrays import FloatArray
from benchmarks.report import show

LONGEST_S = 60
NOISES_DB = (20, 10, 0)
MIN_FRAMES = 10  # 0.3 s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sounds", type=Path)
    parser.add_argument("speakers", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ.update(DATA_DIR=name, DJANGO_SETTINGS_MODULE="audiosearch.settings")
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)  # thresholds are looked for in the database
        sounds, speakers = _sounds(options.sounds), _speakers(options.speakers)
    show("sounds taken for speech", sounds, as_json=options.json)
    show("speech that is kept", speakers, as_json=options.json)


def _sounds(labels: Path) -> list[dict[str, Any]]:
    from audiosearch.engine.scoring.labels import read_rows

    found: dict[str, list[dict[str, int]]] = {}
    for row in read_rows(labels, "label"):
        taken = _taken(_decoded(labels.parent / row["path"]))
        found.setdefault(row["label"], []).append(taken)
    rows = [_counted(label, some) for label, some in sorted(found.items())]
    return [*rows, _counted("all", [one for some in found.values() for one in some])]


def _counted(label: str, sounds: list[dict[str, int]]) -> dict[str, Any]:
    return {"label": label, "sounds": len(sounds)} | {
        key: sum(one[key] for one in sounds) for key in sounds[0]
    }


def _taken(samples: FloatArray) -> dict[str, int]:
    """By whom a sound is taken for speech, as 0 or 1."""
    from apps.voices.embedding import embed_samples, problems_of, voice_encoder
    from apps.voices.thresholds import point_measured
    from audiosearch.engine.errors import NoSpeech
    from audiosearch.engine.voice.diarization import diarize
    from audiosearch.engine.voice.speech import raised, voiced_frames

    try:
        voice = embed_samples(samples)
    except NoSpeech:
        heard = enrolled = 0
    else:
        heard, enrolled = 1, int(not problems_of(voice))
    encoder = voice_encoder()
    turns = diarize([samples], encoder, point_measured(encoder.spec.space).likeness).turns
    return {
        "by WebRTC alone": int(np.count_nonzero(voiced_frames(raised(samples))) >= MIN_FRAMES),
        "identified, verified": heard,
        "enrolled": enrolled,
        "diarized": int(bool(turns)),
    }


def _speakers(labels: Path) -> list[dict[str, Any]]:
    from apps.voices.labels import read_speakers

    paths = [path for path, _ in read_speakers(labels)]
    rows = [_kept("in quiet", paths, None)]
    return rows + [_kept(f"white noise, {db} dB", paths, db) for db in NOISES_DB]


def _kept(name: str, paths: list[Path], noise_db: int | None) -> dict[str, Any]:
    """The reference is what WebRTC's detector finds in quiet, whatever noise is added."""
    from audiosearch.engine.voice.speech import RATE, raised, speech_frames, voiced_frames

    rng = np.random.default_rng(0)
    shares, counts, seconds, heard_s = [], np.zeros(4), 0.0, 0.0
    for path in paths:
        samples = _decoded(path)
        speech = voiced_frames(raised(samples))
        if noise_db is not None:
            deviation = np.sqrt(np.mean(np.square(samples))) * 10 ** (-noise_db / 20)
            samples = samples + rng.normal(0, deviation, len(samples)).astype(np.float32)
        begun = time.perf_counter()
        _, kept = speech_frames(samples)
        seconds, heard_s = seconds + time.perf_counter() - begun, heard_s + len(samples) / RATE
        both, wanted = int((speech & kept).sum()), int(speech.sum())
        shares.append(both / max(wanted, 1))
        counts += np.array([both, wanted, int(kept.sum()), len(speech)])
    return {
        "recordings": name,
        "kept": f"{counts[0] / counts[1]:.2%}",
        "in the worst": f"{min(shares):.1%}",
        "lost altogether": sum(share == 0 for share in shares),
        "of all that plays": f"{counts[2] / counts[3]:.1%}",
        "times faster than it plays": heard_s / seconds,
    }


def _decoded(path: Path) -> FloatArray:
    from audiosearch.engine.audio.sandbox import decode
    from audiosearch.engine.voice.speech import RATE

    return decode(path, RATE, end_ms=LONGEST_S * 1000)


if __name__ == "__main__":
    main()
