"""Time "which song is this tune?" from outside: whole HTTP requests, one at a time.

    python -m benchmarks.tunes_http [--tracks 10000] [--seconds 60] [--rounds 60] [--json]

The catalogue is made of melodies over chords as an analysis would have heard them, without sound
(engine/tunes/field.py); the clips are 10 s of the predominant contour of some of them, as tones
with four harmonics, as WAV. Milvus Lite and the web server run; no worker beside them.
"""

import argparse
import io
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audiosearch.engine.tunes.field import FEWEST, made_tune
from audiosearch.engine.tunes.representation import FRAME_MS, FRAMES_PER_SECOND
from audiosearch.engine.tunes.salience import SAMPLE_RATE
from benchmarks.report import latencies, resident_mb, show
from benchmarks.served import ask, served
from tests import servers

ASKED_S = 10
ASKED = 20
"""Of the tracks, evenly spread."""
FILL = """
from django.contrib.auth import get_user_model
from django.utils import timezone
from apps.access.tokens import issue_token
from apps.analysis.index import index_entry, indexed_size
from apps.analysis.models import SpaceKind, TrackAnalysis
from apps.analysis.representations import keep
from apps.analysis.space_indexes import index_of
from apps.analysis.spaces import active_space, ensure_spaces
from apps.catalog.models import Track
from apps.jobs.models import State
from audiosearch.engine.indexes.payloads import TrackPayload
from benchmarks.tunes_http import tune
ensure_spaces()
space = active_space(SpaceKind.MELODY)
common = dict(kind="music", format="FLAC", duration_ms={seconds} * 1000, size_bytes=1)
common |= dict(sample_rate=44_100, channels=2)
Track.objects.bulk_create(
    [Track(pk=n, title=f"Song {{n}}", sha256=f"{{n:064d}}", file=f"{{n}}.flac", **common)
     for n in range(1, {tracks} + 1)],
    batch_size=500,
)
rows = []
def entries():
    for track in Track.objects.order_by("pk").iterator(500):
        found = tune(track.pk, {seconds})
        keep(space.name, track.pk, found)
        rows.append(TrackAnalysis(track=track, space=space, state=State.READY,
                                  windows=indexed_size(found), finished_at=timezone.now()))
        yield index_entry(track, found)
index_of(space).rebuild(TrackPayload.layout, entries())
TrackAnalysis.objects.filter(space=space).delete()
TrackAnalysis.objects.bulk_create(rows, batch_size=500)
user = get_user_model().objects.create_superuser("ada")
print(issue_token(user=user, name="benchmark"))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=60, help="how long each is")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    fill = FILL.format(tracks=options.tracks, seconds=options.seconds)
    numbers = np.linspace(1, options.tracks, ASKED).astype(int).tolist()
    clips = [clip(tune(number, options.seconds)) for number in numbers]
    with (
        tempfile.TemporaryDirectory() as folder,
        servers.milvus_lite(Path(folder) / "index") as uri,
        served(Path(folder), fill, MILVUS_URI=uri) as (url, token),
    ):
        asked = partial(search, url, token, clips, numbers)
        right = [asked(number) for number in range(ASKED)]  # and all is warm
        row: dict[str, Any] = {"tracks": options.tracks, "seconds": options.seconds}
        row |= latencies(asked, options.rounds)
        row |= {"right": f"{sum(right)} of {ASKED}", "web MB": resident_mb("granian")}
    show("same tune over HTTP, ms", [row], as_json=options.json)


def tune(number: int, seconds: int) -> Any:
    """A track's tune, of none of the seeds that are strangers."""
    return made_tune(FEWEST + number, seconds * FRAMES_PER_SECOND)


def clip(made: Any) -> bytes:
    """What leads from the second third on, five semitones lower, as WAV."""
    begin = len(made) // 3
    keys = made.contour_keys[begin : begin + ASKED_S * FRAMES_PER_SECOND] - 5
    samples = np.repeat(keys, SAMPLE_RATE * FRAME_MS // 1000)
    heard = ~np.isnan(samples)
    hz = 440 * 2 ** ((np.where(heard, samples, 60) - 69) / 12)
    turns = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE
    sound = sum(np.sin(number * turns) / number**1.5 for number in range(1, 5)) * heard * 0.2
    file = io.BytesIO()
    soundfile.write(file, sound.astype(np.float32), SAMPLE_RATE, format="WAV")
    return file.getvalue()


def search(url: str, token: str, clips: list[bytes], numbers: list[int], number: int) -> bool:
    """Ask with one of the clips in turn; whether the first hit is the track that it is of."""
    which = number % len(clips)
    hits = ask(url, token, clips[which], answers="same_tune")["same_tune"]["hits"]
    return bool(hits) and hits[0]["track"]["id"] == numbers[which]


if __name__ == "__main__":
    main()
