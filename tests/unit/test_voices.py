"""Voices from enrolment to erasure, by service, API, page and command."""

import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client, override_settings

from apps.access.models import AuditEvent
from apps.analysis import space_indexes
from apps.analysis.index import get_index
from apps.analysis.models import mark_stale
from apps.analysis.reconcile import rebuild_outgrown_spaces
from apps.analysis.spaces import use_analyzer
from apps.catalog.models import Collection, Track
from apps.catalog.services.editing import edit_track
from apps.voices import holdings
from apps.voices.consent import NoConsent
from apps.voices.embedding import PoorRecording, embed_voice, voice_space
from apps.voices.enrolling import OtherSpeaker, enrol
from apps.voices.erasing import erase_speaker
from apps.voices.holdings import speaker_changed
from apps.voices.labels import read_speakers
from apps.voices.models import Enrolment, OperatingPoint, Speaker
from apps.voices.recognition import NotEnrolled, identify, verify_speaker
from apps.voices.tasks import reconcile
from apps.voices.thresholds import point_in_force
from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.errors import AudioError, IndexUnavailable, ModelUnavailable, NoSpeech
from audiosearch.engine.indexes.payloads import EnrolmentPayload, TrackPayload
from audiosearch.engine.voice.speech import RATE
from tests.voices import speak

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("synthesised_threshold"),
]

LIBRISPEECH = Path(__file__).parents[3] / "shared" / "data" / "librispeech"
ANNA, BEN, CARL = 2, 34, 4  # seeds; these three are well apart
Say = Callable[..., Path]


@pytest.fixture
def say(tmp_path: Path) -> Say:
    """say(seed, seconds=6, words=0, change=None): a file in which that voice speaks."""

    def write(
        seed: int,
        seconds: float = 6,
        words: int = 0,
        change: Callable[[FloatArray], FloatArray] | None = None,
    ) -> Path:
        pause = np.random.default_rng(words).normal(0, 1e-4, RATE).astype(np.float32)
        samples = np.concatenate([pause, speak(seed, seconds, words), pause])
        path = tmp_path / f"{seed}-{seconds:g}-{words}-{change is not None}.wav"
        soundfile.write(path, change(samples) if change else samples, RATE)
        return path

    return write


@pytest.fixture
def person() -> Callable[..., Speaker]:
    def make(name: str, **fields: Any) -> Speaker:
        consent = {"consent_by": name, "consent_on": date(2026, 1, 1)}
        return Speaker.objects.create(name=name, **(consent | fields))

    return make


@pytest.fixture
def staff() -> Any:
    return get_user_model().objects.create_user("keeper", is_staff=True)


@pytest.fixture
def known(say: Say, person: Callable[..., Speaker], staff: Any) -> dict[int, Speaker]:
    """Anna and Ben, enrolled by one recording each; Ben is in a group."""
    people = {ANNA: person("Anna"), BEN: person("Ben", groups=["crew"])}
    for seed, speaker in people.items():
        enrol(speaker=speaker, source=say(seed), name="a.wav", by=staff)
    return people


def test_the_right_speaker_and_nobody_else(known: dict[int, Speaker], say: Say, staff: Any) -> None:
    for seed, speaker in known.items():
        voice = embed_voice(say(seed, words=1))
        found = identify(voice=voice, by=staff)
        assert found.speaker == speaker
        assert found.candidates[0].speaker == speaker
        assert len(found.candidates) == 2
        assert verify_speaker(voice=voice, speaker=speaker, by=staff).same
        other = known[BEN if seed == ANNA else ANNA]
        verdict = verify_speaker(voice=voice, speaker=other, by=staff)
        assert not verdict.same
        assert verdict.margin < 0
        assert verdict.probability < 0.5
    stranger = identify(voice=embed_voice(say(CARL)), by=staff)
    assert stranger.speaker is None
    assert "below the threshold" in stranger.reason


def test_several_recordings_are_kept_and_the_best_one_counts(
    known: dict[int, Speaker], say: Say, staff: Any
) -> None:
    enrol(speaker=known[ANNA], source=say(ANNA, words=2), name="b.wav", by=staff)
    assert known[ANNA].enrolments.count() == 2
    found = identify(voice=embed_voice(say(ANNA, words=2)), by=staff)
    assert len(found.candidates) == 2
    assert found.candidates[0].score == pytest.approx(1, abs=1e-4)


def test_a_group_narrows_the_search(known: dict[int, Speaker], say: Say, staff: Any) -> None:
    voice = embed_voice(say(ANNA, words=1))
    found = identify(voice=voice, by=staff, group="crew")
    assert [one.speaker.name for one in found.candidates] == ["Ben"]
    assert found.speaker is None
    assert "Nobody is enrolled" in identify(voice=voice, by=staff, group="none").reason


def test_a_group_of_two_has_the_threshold_of_two(
    known: dict[int, Speaker],
    say: Say,
    person: Callable[..., Speaker],
    staff: Any,
    synthesised_threshold: OperatingPoint,
) -> None:
    for measured in synthesised_threshold.points:
        measured["impostor_std"] = 0.06  # so that more strangers need a higher threshold
    synthesised_threshold.save()
    voice, stranger = embed_voice(say(BEN, words=1)), embed_voice(say(CARL))
    ben = known[BEN].enrolments.get()
    for number in range(20):
        groups = ["crew"] if number == 0 else ["others"]
        track = Track.objects.get(pk=ben.track_id)
        track.pk, track.sha256 = None, f"{number:064}"
        track.save(force_insert=True)
        speaker = person(f"Voice {number}", groups=groups)
        Enrolment.objects.create(
            **{"speaker": speaker, "track": track, "space": ben.space, "net_ms": ben.net_ms},
            **{"embedding": stranger.embedding.tobytes(), "snr_db": 30.0},
        )
    gone = Speaker.objects.get(name="Voice 1")
    gone.groups, gone.consent_until = ["crew"], date.today() - timedelta(days=1)
    gone.save()
    point = point_in_force(voice_space()).at(voice.speech.net_ms)
    assert point.threshold_among(2) < point.threshold_among(21)
    asked = {group: identify(voice=voice, by=staff, group=group) for group in ("crew", "")}
    assert asked["crew"].threshold == point.threshold_among(2)
    assert asked[""].threshold == point.threshold_among(21)


def test_the_same_voice_under_a_second_name_is_pointed_out(
    known: dict[int, Speaker], say: Say, person: Callable[..., Speaker], staff: Any
) -> None:
    second = person("Annabel")
    found = enrol(speaker=second, source=say(ANNA, words=3), name="c.wav", by=staff)
    assert [one.speaker.name for one in found.sounds_like] == ["Anna"]
    nearest = identify(voice=embed_voice(say(ANNA, words=3)), by=staff).candidates
    assert [one.speaker.name for one in nearest] == ["Annabel", "Anna", "Ben"]


def _noisy(samples: FloatArray) -> FloatArray:
    noise = np.random.default_rng(0).normal(0, 0.3, len(samples))
    return np.asarray(0.3 * samples + noise, dtype=np.float32)


def _loud(samples: FloatArray) -> FloatArray:
    return np.clip(samples * 20, -1, 1)


def _then_another(samples: FloatArray) -> FloatArray:
    return np.concatenate([speak(10, 6), speak(34, 6)])  # two voices far apart


@pytest.mark.parametrize(
    ("seconds", "change", "message"),
    [
        (1.5, None, "speak for at least 3 s"),
        (6, _noisy, "quieter place|hardly any speech"),
        (6, _loud, "recording level down"),
        (6, _then_another, "More than one person"),
    ],
)
def test_a_poor_recording_is_refused_with_what_to_do(
    say: Say,
    person: Callable[..., Speaker],
    staff: Any,
    seconds: float,
    change: Any,
    message: str,
) -> None:
    with pytest.raises((PoorRecording, NoSpeech), match=message):
        enrol(speaker=person("Anna"), source=say(ANNA, seconds, 0, change), name="a.wav", by=staff)
    assert not Track.objects.exists()
    assert not Enrolment.objects.exists()


def test_without_consent_nothing_is_matched(
    known: dict[int, Speaker], say: Say, person: Callable[..., Speaker], staff: Any
) -> None:
    with pytest.raises(NoConsent, match="not on record"):
        enrol(speaker=person("Carl", consent_by=""), source=say(CARL), name="c.wav", by=staff)
    anna = known[ANNA]
    anna.consent_until = date.today() - timedelta(days=1)
    anna.save()
    speaker_changed(anna, ["consent_until"])
    voice = embed_voice(say(ANNA, words=1))
    assert [one.speaker.name for one in identify(voice=voice, by=staff).candidates] == ["Ben"]
    Enrolment.objects.filter(speaker=known[BEN]).update(index_stale=False)
    known[BEN].consent_until = date.today() - timedelta(days=1)
    known[BEN].save()  # and the index has not heard of it
    assert identify(voice=voice, by=staff).candidates == []
    with pytest.raises(NoConsent, match="ended"):
        verify_speaker(voice=voice, speaker=anna, by=staff)


def test_a_claim_on_somebody_without_recordings(
    say: Say, person: Callable[..., Speaker], staff: Any
) -> None:
    with pytest.raises(NotEnrolled):
        verify_speaker(voice=embed_voice(say(CARL)), speaker=person("Carl"), by=staff)


def test_erasing_leaves_nothing_but_a_line(known: dict[int, Speaker], staff: Any) -> None:
    anna, number = known[ANNA], known[ANNA].pk
    files = [Path(track.file.path) for track in anna.tracks.all()]
    gone = list(anna.enrolments.values_list("pk", flat=True))
    erase_speaker(speaker=anna, by=staff)
    assert not any(path.exists() for path in files)
    assert not Speaker.objects.filter(name="Anna").exists()
    assert set(get_index().window_counts(voice_space())).isdisjoint(gone)
    assert Enrolment.objects.count() == Track.objects.count() == 1
    line = AuditEvent.objects.first()
    assert line is not None
    assert (line.action, line.speaker_number, line.username) == ("erase", number, "keeper")
    assert line.detail == {"recordings": 1, "vectors": 1}


def test_what_is_erased_is_what_was_enrolled(
    known: dict[int, Speaker], say: Say, staff: Any
) -> None:
    """And not what a track is attributed to by now."""
    anna, ben = known[ANNA], known[BEN]
    of_anna = anna.enrolments.get().track
    edit_track(track=of_anna, changes={"speaker": ben})
    with pytest.raises(OtherSpeaker):
        enrol(speaker=ben, source=say(ANNA), name="a.wav", by=staff)
    assert anna.enrolments.get().track == of_anna
    erase_speaker(speaker=ben, by=staff)
    assert list(Track.objects.all()) == [of_anna]
    assert Path(of_anna.file.path).exists()
    assert identify(voice=embed_voice(say(ANNA, words=1)), by=staff).speaker == anna
    edit_track(track=of_anna, changes={"speaker": None})
    keeper = Client()
    keeper.force_login(staff)
    asked = keeper.get(f"/voices/speakers/{anna.pk}/erase/").content.decode()
    assert "the vectors of 1 enrolled recording" in asked
    erase_speaker(speaker=anna, by=staff)
    assert not Track.objects.exists()
    assert not Path(of_anna.file.path).exists()


def test_what_is_private_is_not_counted(
    known: dict[int, Speaker], member: Client, staff: Any
) -> None:
    room = Collection.objects.create(name="R", audience=Group.objects.create(name="insiders"))
    keeper = Client()
    keeper.force_login(staff)

    def counted(client: Client) -> dict[str, tuple[int, int]]:
        page = client.get("/voices/").context["page"]
        shown = {speaker.name: speaker.recordings for speaker in page}
        rows = client.get("/api/v1/speakers/").json()["results"]
        return {row["name"]: (row["enrolments"], shown[row["name"]]) for row in rows}

    edit_track(track=known[ANNA].enrolments.get().track, changes={"collection": room})
    assert counted(keeper) == {"Anna": (1, 1), "Ben": (1, 1)}
    assert counted(member) == {"Ben": (1, 1)}


def test_a_change_while_enrolments_are_synced_is_not_lost(
    known: dict[int, Speaker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the rows and noting that the index knows them, the groups change again."""
    anna = known[ANNA]
    row, index = anna.enrolments.get(), get_index()
    upsert = index.upsert

    def found_in(group: str) -> bool:
        near = holdings.nearest_enrolments(voice_space(), holdings.embedding_of(row), group)
        return row.pk in [match.item_id for match in near]

    def then_changed(space: str, entries: Any) -> None:
        upsert(space, entries)
        Speaker.objects.filter(pk=anna.pk).update(groups=["late"])
        mark_stale(anna.enrolments.all())

    anna.groups = ["early"]
    anna.save()
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(index, "upsert", then_changed)
        speaker_changed(anna, ["groups"])
    assert (found_in("early"), found_in("late")) == (True, False)
    assert Enrolment.objects.get(index_stale=True) == row
    reconcile()
    assert (found_in("early"), found_in("late")) == (False, True)
    assert not Enrolment.objects.filter(index_stale=True).exists()


def test_with_the_index_away_enrolments_wait_and_erasing_refuses(
    known: dict[int, Speaker], say: Say, person: Callable[..., Speaker], staff: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    class Away:
        def __getattr__(self, name: str) -> Any:
            raise IndexUnavailable("The vector index does not answer.")

    with monkeypatch.context() as away:
        for module in (holdings, space_indexes):
            away.setattr(module, "get_index", Away)
        with pytest.raises(IndexUnavailable):
            erase_speaker(speaker=known[ANNA], by=staff)
        enrol(speaker=person("Carl"), source=say(CARL), name="c.wav", by=staff)
    assert Speaker.objects.filter(name="Anna").exists()
    assert Enrolment.objects.filter(index_stale=True).count() == 1
    reconcile()
    found = identify(voice=embed_voice(say(CARL, words=1)), by=staff)
    assert found.speaker is not None
    assert found.speaker.name == "Carl"


def test_a_lost_space_and_strays_are_mended(
    known: dict[int, Speaker], say: Say, staff: Any
) -> None:
    get_index().drop_space(voice_space())
    reconcile()
    assert identify(voice=embed_voice(say(BEN, words=1)), by=staff).speaker == known[BEN]
    Enrolment.objects.filter(speaker=known[ANNA]).delete()
    assert len(identify(voice=embed_voice(say(ANNA)), by=staff).candidates) == 1
    reconcile()
    assert len(get_index().window_counts(voice_space())) == 1


def test_voices_kept_as_tracks_by_version_0_1_0_are_written_anew(
    known: dict[int, Speaker], say: Say, staff: Any
) -> None:
    index, space = get_index(), voice_space()
    index.drop_space(space)
    index.create_space(space, 256, TrackPayload.layout)
    voice = embed_voice(say(BEN, words=1))
    assert identify(voice=voice, by=staff).candidates == []
    rebuild_outgrown_spaces()
    assert not index.outdated(space, EnrolmentPayload.layout)
    assert identify(voice=voice, by=staff).speaker == known[BEN]


def _post(client: Client, address: str, path: Path | None = None, **fields: Any) -> Any:
    if path is None:
        return client.post(address, fields)
    with path.open("rb") as file:
        return client.post(address, {"file": file, **fields})


def test_the_api_from_speaker_to_erasure(curator: Client, member: Client, say: Say) -> None:
    body = {"name": "Anna", "groups": ["Crew"], "consent_by": "Anna", "consent_on": "2026-01-01"}
    made = curator.post("/api/v1/speakers/", body, content_type="application/json")
    assert made.status_code == 201
    assert made.json()["groups"] == ["crew"]
    address = f"/api/v1/speakers/{made.json()['id']}/"
    assert _post(member, address + "enrolments/", say(ANNA)).status_code == 403
    enrolled = _post(curator, address + "enrolments/", say(ANNA))
    assert enrolled.status_code == 201, enrolled.json()
    assert enrolled.json()["sounds_like"] == []
    short = _post(curator, address + "enrolments/", say(ANNA, 1.5))
    assert short.status_code == 422
    assert short.json()["error"]["code"] == "poor_recording"
    verdict = _post(
        member, "/api/v1/speakers/verify/", say(ANNA, words=1), speaker=made.json()["id"]
    ).json()
    assert verdict["same"] is True
    assert verdict["score"] >= verdict["threshold"]
    for client, group in ((member, ""), (curator, "crew")):
        answer = _post(client, "/api/v1/speakers/identify/", say(ANNA, words=1), group=group)
        found = answer.json()
        assert (found["name"], found["reason"]) == ("Anna", "")
    with say(BEN).open("rb") as one, say(ANNA, words=1).open("rb") as other:
        compared = member.post("/api/v1/speakers/verify/", {"file": one, "other": other})
    assert compared.json()["same"] is False
    listed = member.get("/api/v1/speakers/").json()["results"]
    assert (listed[0]["enrolments"], listed[0]["tracks"]) == (1, 1)
    everything = json.dumps([listed, verdict, found, member.get(address + "enrolments/").json()])
    assert "embedding" not in everything
    assert curator.delete(address).status_code == 204
    assert _post(member, "/api/v1/speakers/identify/", say(ANNA)).json()["speaker"] is None
    users = AuditEvent.objects.values_list("action", "username")
    assert ("identify", "member") in users
    assert ("erase", "curator") in users


def test_the_api_says_what_is_missing(member: Client, curator: Client, say: Say) -> None:
    assert _post(member, "/api/v1/speakers/verify/", say(ANNA)).status_code == 400
    assert _post(member, "/api/v1/speakers/identify/").status_code == 400
    late = {"name": "A", "consent_on": "2026-02-01", "consent_until": "2026-01-01"}
    answer = curator.post("/api/v1/speakers/", late, content_type="application/json")
    assert answer.json()["error"]["details"]["consent_until"]


@override_settings(WHO_MAY_SEARCH="anyone", WHO_MAY_ADD="anyone")
def test_voices_are_for_people_with_an_account(client: Client, say: Say) -> None:
    addresses = ("/api/v1/speakers/", "/api/v1/speakers/1/", "/api/v1/speakers/1/enrolments/")
    for address in addresses:
        assert client.get(address).status_code == 401
    for address in ("/api/v1/speakers/verify/", "/api/v1/speakers/identify/"):
        assert _post(client, address, say(ANNA)).status_code == 401
    assert client.get("/voices/").status_code == 302


@pytest.mark.parametrize(("level", "code"), [(0.0, "silent_audio"), (0.01, "no_speech")])
def test_what_is_no_speech_is_nobody(
    member: Client, tmp_path: Path, level: float, code: str
) -> None:
    hiss = np.random.default_rng(0).normal(0, level, 3 * RATE)
    soundfile.write(tmp_path / "s.wav", hiss, RATE)
    answer = _post(member, "/api/v1/speakers/identify/", tmp_path / "s.wav")
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == code


def test_the_pages(curator: Client, say: Say) -> None:
    fields = {"name": "Anna", "groups": "", "consent_by": "A", "consent_on": "2026-01-01"}
    page = curator.post("/voices/speakers/add/", fields)
    assert page.status_code == 302
    address = page["Location"]
    with say(ANNA).open("rb") as file:
        done = curator.post(address + "enrol/", {"clip": file}, follow=True)
    assert "Enrolled by 6" in done.content.decode()
    with say(ANNA, 1.5).open("rb") as file:
        refused = curator.post(address + "enrol/", {"clip": file})
    assert refused.status_code == 422
    assert "speak for at least" in refused.content.decode()
    with say(ANNA, words=1).open("rb") as file:
        found = curator.post("/voices/identify/", {"clip": file})
    assert "This is" in found.content.decode()
    with say(BEN).open("rb") as file:
        speaker = Speaker.objects.get().pk
        told = curator.post(
            "/voices/compare/",
            {"clip": file, "speaker": speaker},
            headers={"HX-Request": "true"},
        )
    assert "Two different voices" in told.content.decode()
    assert "<html" not in told.content.decode()
    assert curator.post("/voices/compare/", {}).status_code == 400
    assert "synthesised voices" in curator.get("/voices/thresholds/").content.decode()
    assert "cannot be undone" in curator.get(address + "erase/").content.decode()
    assert curator.post(address + "erase/").status_code == 302
    assert not Speaker.objects.exists()


def test_the_page_shows_fifty_speakers_at_a_time(
    curator: Client, person: Callable[..., Speaker]
) -> None:
    for number in range(101):
        person(f"Voice {number:03}")

    def shown(address: str) -> tuple[str, list[str]]:
        page = curator.get(address).content.decode()
        return page, re.findall(r"/voices/speakers/\d+/\">(Voice \d+)<", page)

    page, names = shown("/voices/")
    assert names == [f"Voice {number:03}" for number in range(50)]
    assert "Page 1 of 3" in page
    assert 'href="/voices/?page=2"' in page
    assert shown("/voices/?page=2")[1] == [f"Voice {number:03}" for number in range(50, 100)]
    page, names = shown("/voices/?page=99")
    assert names == ["Voice 100"]
    assert 'rel="next"' not in page
    refused = curator.post("/voices/identify/", {}).content.decode()
    assert 'href="/voices/?page=2"' in refused, "its own address takes no GET"


def test_members_read_but_do_not_keep_speakers(member: Client, known: dict[int, Speaker]) -> None:
    address = f"/voices/speakers/{known[ANNA].pk}/"
    page = member.get(address)
    assert page.status_code == 200
    assert "Enrol a recording" not in page.content.decode()
    for path in ("", "enrol/", "erase/"):
        assert member.post(address + path).status_code == 403
    assert member.get("/voices/thresholds/").status_code == 403


def test_the_console_is_for_all_staff(curator: Client, known: dict[int, Speaker]) -> None:
    page = curator.get("/admin/voices/speaker/").content.decode()
    assert "Anna" in page
    address = f"/admin/voices/speaker/{known[BEN].pk}/change/"
    form = {"name": "Ben", "groups": "Night, day", "consent_by": "", "consent_on": ""}
    assert curator.post(address, form).status_code == 302
    assert Speaker.objects.get(name="Ben").groups == ["night", "day"]
    assert curator.get("/admin/access/auditevent/").status_code == 403
    erased = curator.post(f"/admin/voices/speaker/{known[ANNA].pk}/delete/", {"post": "yes"})
    assert erased.status_code == 302
    assert AuditEvent.objects.filter(action="erase").count() == 1
    assert get_index().window_counts(voice_space()).keys() == {known[BEN].enrolments.get().pk}


@pytest.mark.exhaustive
def test_measuring_sets_the_threshold(say: Say, tmp_path: Path) -> None:
    rows = ["path,speaker"]
    for seed in (ANNA, BEN, CARL, 11):
        for words in range(4):
            rows.append(f"{say(seed, 4, words).name},{seed}")
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(rows))
    out, report_dir, nobody = StringIO(), tmp_path / "r", tmp_path / "nobody"
    nobody.mkdir()
    soundfile.write(nobody / "s.wav", np.random.default_rng(0).normal(0, 0.01, 3 * RATE), RATE)
    options = ["--apply", "--far", "0.02", "--out", str(report_dir), "--nobody", str(nobody)]
    call_command("evaluate_voices", str(labels), *options, stdout=out)
    assert "1 sounds of nobody: 1 without speech, 0 accepted" in out.getvalue()
    assert "16 recordings of 4 speakers" in out.getvalue()
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    assert report["conditions"][0]["name"] == "whole"
    assert report["conditions"][0]["genuine"] == 24
    assert report["identified"]["known"] == report["identified"]["nearest"] == 16
    assert len(list((tmp_path / "r").glob("*.svg"))) == 3
    row = OperatingPoint.objects.get(in_force=True)
    assert row.source.startswith("labels.csv: 16 recordings")
    assert [point["min_ms"] for point in row.points] == sorted(p["min_ms"] for p in row.points)
    assert OperatingPoint.objects.count() == 2


def test_the_voice_encoder_does_not_search_sounds() -> None:
    with pytest.raises(ModelUnavailable, match="makes no embeddings of sounds"):
        use_analyzer("resemblyzer")


@pytest.mark.exhaustive
@pytest.mark.skipif(not LIBRISPEECH.exists(), reason="needs the recordings of LibriSpeech")
def test_people_are_known_by_the_thresholds_of_this_release(
    person: Callable[..., Speaker], staff: Any
) -> None:
    """With what was measured in force: ten recordings of six readers each, and sixty strangers."""
    OperatingPoint.objects.all().delete()
    recordings: dict[str, list[Path]] = {}
    for path, name in read_speakers(LIBRISPEECH / "speakers.csv"):
        recordings.setdefault(name, []).append(path)
    readers = {name: paths for name, paths in recordings.items() if len(paths) > 1}
    strangers = [paths[0] for paths in recordings.values() if len(paths) == 1][:60]
    rest: list[tuple[str, Path]] = []
    for name, paths in readers.items():
        speaker, kept = person(name), 0
        for path in paths:
            try:
                enrol(speaker=speaker, source=path, name=path.name, by=staff)
            except AudioError:
                continue
            kept += 1
            if kept == 3:
                break
        rest += [
            (name, path)
            for path in paths
            if not Track.objects.filter(original_name=path.name).exists()
        ]
    right = wrong = 0
    for name, path in rest:
        found = identify(voice=embed_voice(path), by=staff).speaker
        right += found is not None and found.name == name
        wrong += found is not None and found.name != name
    assert wrong == 0
    assert right >= 0.85 * len(rest)
    taken = [identify(voice=embed_voice(path), by=staff).speaker for path in strangers]
    assert sum(who is not None for who in taken) <= 1
