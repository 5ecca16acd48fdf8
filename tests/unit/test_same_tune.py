"""Which song is hummed, and what else has the tune of a track: asked by the API, under filters."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.test import Client

from apps.analysis.drift import find_drift
from apps.analysis.models import SpaceKind, TrackAnalysis
from apps.analysis.worker import work
from apps.catalog.models import Collection, Track
from apps.catalog.services.adding import add_track
from apps.catalog.services.deleting import delete_tracks
from apps.catalog.services.editing import edit_track
from apps.jobs.models import State
from apps.search import same_tune
from audiosearch.engine.matchers import same_tune as matching
from audiosearch.engine.tunes.salience import SAMPLE_RATE
from tests.audio_files import write_audio
from tests.tune_sounds import made_melody, mains, noise, played, stretch

pytestmark = pytest.mark.django_db(transaction=True)
SEEDS = 1, 2, 3


@pytest.fixture
def songs(tmp_path: Path) -> dict[int, Track]:
    """Three songs by seed, with chords."""
    tracks = {}
    for seed in SEEDS:
        song = played(made_melody(seed), chords=True)
        path = write_audio(tmp_path / f"{seed}.flac", song, SAMPLE_RATE)
        tracks[seed] = add_track(source=path, name=f"Song {seed}.flac").track
    work()
    return tracks


@pytest.fixture
def hum(tmp_path: Path) -> Path:
    """Twelve seconds of the second one, five semitones lower and a tenth faster, after a pause."""
    line = stretch(made_melody(2), 20, 12)
    sound = np.concatenate([np.zeros(SAMPLE_RATE, np.float32), played(line, key=-5, tempo=1.1)])
    return write_audio(
        tmp_path / "hum.wav", sound + noise(len(sound) / SAMPLE_RATE, 0.002), SAMPLE_RATE
    )


def ask(client: Client, asked: Path | Track, **fields: Any) -> dict[str, Any]:
    fields = {"answers": "same_tune", **fields}
    if isinstance(asked, Track):
        fields["track"] = asked.pk
        answer = client.post("/api/v1/search/", fields, content_type="application/json")
    else:
        with asked.open("rb") as file:
            answer = client.post("/api/v1/search/", {**fields, "file": file})
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()["answers"]["same_tune"]
    return found


def test_a_hum_is_named_with_its_evidence(
    member: Client, songs: dict[int, Track], hum: Path
) -> None:
    found = ask(member, hum)
    assert found["verdict"] == "match"
    best = found["hits"][0]
    assert best["track"]["id"] == songs[2].pk
    assert best["probability"] >= 0.7
    begins_ms = made_melody(2)[20][0] * 1000
    ahead_ms = (best["query_start_ms"] - 1000) * best["speed"]
    assert abs(best["start_ms"] - begins_ms - ahead_ms) < 500
    assert best["speed"] == pytest.approx(1.1, abs=0.05)
    assert best["evidence"]["key_difference"] == -5


def test_both_contours_lie_on_each_other(
    member: Client, songs: dict[int, Track], hum: Path
) -> None:
    best = ask(member, hum)["hits"][0]
    lines = best["evidence"]["contours"]
    assert lines["begin_ms"] == best["start_ms"]
    assert len(lines["song"]) == len(lines["asked"])
    assert lines["begin_ms"] + lines["step_ms"] * len(lines["song"]) == best["end_ms"]
    pairs = [pair for pair in zip(lines["song"], lines["asked"], strict=True) if None not in pair]
    assert len(pairs) > 0.6 * len(lines["song"])
    assert np.median([abs(song - asked) for song, asked in pairs]) < 0.5


def test_what_is_not_there_is_none(member: Client, songs: dict[int, Track], tmp_path: Path) -> None:
    other = played(stretch(made_melody(9), 10, 12))
    found = ask(member, write_audio(tmp_path / "other.wav", other, SAMPLE_RATE))
    assert found["verdict"] == "none"
    assert found["reason"]


@pytest.mark.parametrize(
    ("sound", "why"),
    [(mains(10), "one constant tone"), (noise(10), "too little"), (played([(0, 1, 60)]), "short")],
    ids=["mains", "noise", "short"],
)
def test_what_has_no_tune_is_refused_in_words(
    member: Client, songs: dict[int, Track], tmp_path: Path, sound: Any, why: str
) -> None:
    found = ask(member, write_audio(tmp_path / "asked.wav", sound, SAMPLE_RATE))
    assert (found["verdict"], found["hits"]) == ("none", [])
    assert why in found["reason"]


@pytest.mark.parametrize("all_below", [matching.ALL_BELOW, 0], ids=["all", "candidates"])
def test_filters_and_privacy_leave_it_out(
    member: Client,
    songs: dict[int, Track],
    hum: Path,
    all_below: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a small catalogue, and of one of which those whose windows are near are matched."""
    monkeypatch.setattr(matching, "ALL_BELOW", all_below)
    assert ask(member, hum)["verdict"] == "match"
    assert ask(member, hum, tags="nothing")["hits"] == []
    hidden = Collection.objects.create(name="Hidden", audience=Group.objects.create(name="few"))
    edit_track(track=Track.objects.get(pk=songs[2].pk), changes={"collection": hidden})
    found = ask(member, hum)
    assert songs[2].pk not in [hit["track"]["id"] for hit in found["hits"]]
    assert found["verdict"] == "none"


def test_the_tune_of_a_track_is_found_in_others(
    member: Client, songs: dict[int, Track], tmp_path: Path
) -> None:
    assert ask(member, songs[2])["verdict"] == "none", "itself is no answer"
    cover = played(made_melody(2), key=3, tempo=0.9, harmonics=3)
    path = write_audio(tmp_path / "cover.flac", cover, SAMPLE_RATE)
    version = add_track(source=path, name="Cover.flac").track
    work()
    found = ask(member, songs[2])
    assert found["verdict"] == "match"
    sections = [hit for hit in found["hits"] if hit["track"]["id"] == version.pk]
    assert len(sections) > 1, "more than one stretch of it"
    for hit in sections:
        assert hit["start_ms"] == pytest.approx(hit["query_start_ms"] / 0.9, abs=700)
    stretch_of_it = ask(member, songs[2], start_ms=12_000, end_ms=24_000)
    assert stretch_of_it["hits"][0]["track"]["id"] == version.pk
    assert 12_000 <= stretch_of_it["hits"][0]["query_start_ms"] < 24_000


def test_a_recording_without_a_melody_costs_nothing(
    member: Client, songs: dict[int, Track], tmp_path: Path
) -> None:
    rain = add_track(
        source=write_audio(tmp_path / "rain.flac", noise(8), SAMPLE_RATE), name="Rain.flac"
    ).track
    work()
    row = TrackAnalysis.objects.get(track=rain, space__kind=SpaceKind.MELODY)
    assert (row.state, row.windows) == (State.READY, 0)
    assert "no melody" in ask(member, rain)["reason"]
    long = write_audio(tmp_path / "long.wav", noise(45), SAMPLE_RATE)
    assert "no melody" in ask(member, long)["reason"], "of a clip that is longer than a hum"
    assert find_drift() == []
    assert "no melody" in member.get(f"/tracks/{rain.pk}/").content.decode()


def test_who_is_deleted_is_found_no_more(
    member: Client, songs: dict[int, Track], hum: Path
) -> None:
    assert ask(member, hum)["hits"][0]["track"]["id"] == songs[2].pk
    delete_tracks([songs[2].pk])
    assert songs[2].pk not in [hit["track"]["id"] for hit in ask(member, hum)["hits"]]


def test_hums_of_ones_own_are_measured(songs: dict[int, Track], hum: Path, tmp_path: Path) -> None:
    strange = write_audio(
        tmp_path / "strange.wav", played(stretch(made_melody(9), 10, 12)), SAMPLE_RATE
    )
    labels = tmp_path / "labels.csv"
    labels.write_text(
        f"path,track,condition\n{hum.name},song 2,mine\n{strange.name},,mine\n", "utf-8"
    )
    out = StringIO()
    call_command("evaluate_tunes", str(labels), "--json", stdout=out)
    (row,) = json.loads(out.getvalue())["rows"]
    assert (row["condition"], row["hums"], row["top_1"]) == ("mine", 1, 1.0)
    assert (row["strangers"], row["strangers_accepted"]) == (2, 0)
    out = StringIO()
    call_command("evaluate_tunes", str(labels), stdout=out)
    assert "0 of 2" in out.getvalue()
    labels.write_text(f"path,track\n{hum.name},Song 7\n", "utf-8")
    with pytest.raises(CommandError, match="no track “Song 7”"):
        call_command("evaluate_tunes", str(labels))


def test_versions_are_listed_on_the_page_of_a_track(
    member: Client, songs: dict[int, Track], tmp_path: Path
) -> None:
    cover = played(made_melody(2), key=3, tempo=0.9, harmonics=3)
    path = write_audio(tmp_path / "cover.flac", cover, SAMPLE_RATE)
    version = add_track(source=path, name="Cover.flac").track
    address = f"/tracks/{songs[2].pk}/same-tune/"
    assert "still" in member.get(f"/tracks/{version.pk}/same-tune/").content.decode()
    work()
    whole = member.get(address)
    part = member.get(address, headers={"HX-Request": "true"})
    for answer in (whole, part):
        assert answer.status_code == 200
        assert f"/tracks/{version.pk}/" in answer.content.decode()
    assert "<html" in whole.content.decode()
    assert "<html" not in part.content.decode()
    assert member.get("/tracks/999/same-tune/").status_code == 404
    hidden = Collection.objects.create(name="Hidden", audience=Group.objects.create(name="few"))
    edit_track(track=version, changes={"collection": hidden})
    assert f"/tracks/{version.pk}/" not in member.get(address).content.decode()


def test_before_the_first_hum_all_has_run_once_and_tunes_are_read(
    songs: dict[int, Track], monkeypatch: pytest.MonkeyPatch
) -> None:
    match, hits = matching.match_tune, list[Any]()

    def noted(*asked: Any) -> Any:
        answer = match(*asked)
        hits.extend(answer.hits)
        return answer

    monkeypatch.setattr(matching, "match_tune", noted)
    same_tune.shelf_of.cache_clear()
    same_tune.warm_up()
    assert same_tune.shelf_of("melody-v2").nbytes > 0
    assert hits, "what it asks with is no sound that is refused"
    assert hits[0].standing.tracks == 1, "also where nothing has been analysed yet"
