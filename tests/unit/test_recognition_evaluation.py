"""Recognition measured on a catalogue's own tracks; copies of a track are as right as itself."""

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.analysis.worker import work
from apps.catalog.models import Track
from apps.catalog.services.adding import add_track
from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.scoring.recognition import Recognised, recognition_rows, reliability_rows
from tests.audio_files import write_audio
from tests.landmark_sounds import made_song


def evaluated(*options: str) -> str:
    out = StringIO()
    call_command("evaluate_recognition", *options, stdout=out)
    return out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_a_catalogue_is_measured_by_its_own_tracks(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No track has been analysed"):
        evaluated()
    copy = made_song(1, seconds=20)[2 * SAMPLE_RATE :] * np.float32(0.5)
    sounds = {f"song {seed}": made_song(seed, seconds=20) for seed in (1, 2)}
    sounds |= {"song 1, a copy": copy, "a second of it": made_song(3, seconds=1)}
    for name, samples in sounds.items():
        add_track(source=write_audio(tmp_path / f"{name}.flac", samples, SAMPLE_RATE), name=name)
    work()
    told = json.loads(evaluated("--json", "--as-recorded", "--tracks", "9"))
    assert (told["tracks"], told["unusable"], told["copies"]) == (4, 0, 2)
    rows = {(row["condition"], row["seconds"]): row for row in told["rows"]}
    assert len(rows) == 12
    clean = rows["clean", 10]
    assert (clean["excerpts"], clean["strangers"]) == (3, 3)
    assert (clean["top_1"], clean["accepted"], clean["in_time"]) == (1, 1, 1)
    assert sum(row["strangers_accepted"] for row in rows.values()) == 0
    assert sum(row["answers"] for row in told["reliability"]) == 3 * 2 * 12
    text = evaluated("--as-recorded", "--tracks", "1")
    assert text == evaluated("--as-recorded", "--tracks", "1"), "the same seed, the same figures"
    assert "left out, yet a match" in text
    Track.objects.update(retired_at=timezone.now())
    with pytest.raises(CommandError, match="No track has been analysed"):
        evaluated()


def test_rows_tell_what_was_right_and_what_was_told() -> None:
    found = [
        Recognised("clean", 5, True, True, 0.95, 100),
        Recognised("clean", 5, True, True, 0.6, -400),
        Recognised("clean", 5, True, False, 0.92),
        Recognised("clean", 5, False, False, 0.97),
        Recognised("clean", 5, False, False, 0.0),
    ]
    (row,) = recognition_rows(found)
    assert (row.excerpts, row.strangers, row.strangers_accepted) == (3, 2, 1)
    shares = (row.top_1, row.accepted, row.in_time)
    assert shares == pytest.approx((2 / 3, 1 / 3, 1 / 3))
    assert row.off_ms == 250
    sure = reliability_rows(found)[3]
    assert (sure.low, sure.high, sure.answers) == (0.9, 0.99, 3)
    assert (sure.told, sure.right) == pytest.approx((2.84 / 3, 1 / 3))
