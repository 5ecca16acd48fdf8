"""Time "what is playing?" from outside: whole HTTP requests to a web server, one at a time.

    python -m benchmarks.recognition_http [--hours 100] [--songs 16] [--rounds 60] [--json]

The catalogue is that of benchmarks.landmark_index, with a row for each track; the clips are parts
of its songs in noise of equal loudness, as WAV. Only `same_recording` is asked for, as it was
recorded and with the ladder of speeds. No worker runs beside it.
"""

import argparse
import io
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.arrays import FloatArray
from benchmarks.recognition_sounds import real_music, rendered_song
from benchmarks.report import latencies, show
from benchmarks.served import ask, served

SECONDS = (3, 5, 10)
FILL = """
import sys
from datetime import timedelta
from django.contrib.auth import get_user_model
from django.utils import timezone
from apps.access.tokens import issue_token
from apps.analysis.index import get_landmark_index
from apps.analysis.models import SpaceKind, TrackAnalysis
from apps.analysis.spaces import active_space, ensure_spaces
from apps.catalog.models import Track
from apps.jobs.models import State
from audiosearch.engine.indexes.payloads import TrackPayload
from benchmarks.landmark_index import catalogue, landmarks_of
from benchmarks.recognition_http import songs
ensure_spaces()
space = active_space(SpaceKind.LANDMARKS)
count = 0
def entries():
    global count
    for entry in catalogue([landmarks_of(song) for song in songs({songs})], {hours}):
        count += 1
        yield entry
get_landmark_index().rebuild(space.name, TrackPayload.layout, entries())
common = dict(kind="song", format="FLAC", duration_ms=60_000, size_bytes=1)
common |= dict(sample_rate=44_100, channels=2)
Track.objects.bulk_create(
    [Track(pk=n, title=f"Song {{n}}", sha256=f"{{n:064d}}", file=f"{{n}}.flac", **common)
     for n in range(1, count + 1)],
    batch_size=500,
)
TrackAnalysis.objects.bulk_create(
    [TrackAnalysis(track_id=n, space=space, state=State.READY, finished_at=timezone.now())
     for n in range(1, count + 1)],
    batch_size=500,
)
user = get_user_model().objects.create_superuser("ada")
print(count, issue_token(user=user, name="benchmark"))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=100)
    parser.add_argument("--songs", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    fill = FILL.format(songs=options.songs, hours=options.hours)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), fill) as (url, token):
        for seconds in SECONDS:
            clips = [noisy_clip(song, seconds) for song in songs(options.songs)]
            for as_recorded in ("true", "false"):
                asked = partial(search, url, token, clips, as_recorded)
                right = [asked(number) for number in range(len(clips))]  # and all is warm
                row: dict[str, Any] = {"seconds": seconds, "as recorded": as_recorded}
                row |= latencies(asked, options.rounds)
                rows.append({**row, "right": f"{sum(right)} of {len(right)}"})
    show("same recording over HTTP, ms", rows, as_json=options.json)


def songs(count: int) -> list[FloatArray]:
    """Those that the catalogue is made of."""
    return [*real_music().values(), *(rendered_song(seed) for seed in range(count))]


def noisy_clip(song: FloatArray, seconds: int) -> bytes:
    """The middle of a song in noise as loud as it is, as WAV."""
    begin = max(0, len(song) // 2 - seconds * SAMPLE_RATE // 2)
    part = song[begin : begin + seconds * SAMPLE_RATE]
    noise = np.random.default_rng(0).normal(0, part.std(), len(part))
    both = part + noise
    file = io.BytesIO()
    soundfile.write(file, both * 0.5 / np.abs(both).max(), SAMPLE_RATE, format="WAV")
    return file.getvalue()


def search(url: str, token: str, clips: list[bytes], as_recorded: str, number: int) -> bool:
    """Ask with one of the clips in turn; whether the first hit is the song it was taken from."""
    which = number % len(clips)
    fields = {"answers": "same_recording", "as_recorded": as_recorded}
    hits = ask(url, token, clips[which], **fields)["same_recording"]["hits"]
    return bool(hits) and hits[0]["track"]["id"] == which + 1


if __name__ == "__main__":
    main()
