"""The REST API: rights, every endpoint, one shape of error, range requests, and the schema."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client, override_settings
from drf_spectacular.validation import validate_schema

from apps.analysis.worker import work
from apps.catalog.models import Collection, Track
from tests.audio_files import tone, write_audio
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)


def send(client: Client, path: Path, **fields: Any) -> Any:
    with path.open("rb") as file:
        return client.post("/api/v1/tracks/", {"file": file, **fields})


def test_add_read_change_delete(member: Client, tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", tone(2))
    collection = Collection.objects.create(name="C")
    assert send(member, path, tags="y" * 101).status_code == 400
    answer = send(member, path, title="T", tags="x, Y", collection=collection.pk)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["title"], made["tags"], made["state"]) == ("T", ["x", "y"], "queued")
    assert made["collection"] == collection.pk
    assert send(member, path).status_code == 200
    work()
    address = f"/api/v1/tracks/{made['id']}/"
    read = member.get(address).json()
    assert (read["state"], read["reason"], read["spaces"][0]["windows"]) == ("ready", "", 1)
    changed = member.patch(address, {"title": "U", "tags": ["z"]}, content_type="application/json")
    assert (changed.json()["title"], changed.json()["tags"]) == ("U", ["z"])
    assert member.get("/api/v1/tags/").json()["results"] == [{"name": "z", "tracks": 1}]
    assert member.delete(address).status_code == 204
    assert member.get(address).status_code == 404


def test_lists_filter_search_and_page(member: Client, add_tone: AddTone) -> None:
    for hz in (400, 500, 600):
        add_tone(hz, tags=[f"hz{hz}"], kind="music" if hz == 400 else "")
    counts = {
        "q=500": 1,
        "q=hz6": 1,
        "tag=hz400": 1,
        "kind=music": 1,
        "kind=sound": 2,
        "state=ready": 3,
        "state=failed": 0,
        "q=nothing": 0,
    }
    for query, count in counts.items():
        assert member.get(f"/api/v1/tracks/?{query}").json()["count"] == count, query
    page = member.get("/api/v1/tracks/?page_size=2&ordering=title").json()
    assert [track["title"] for track in page["results"]] == ["400", "500"]
    assert page["next"]


def test_the_list_asks_a_fixed_number_of_queries(
    member: Client, add_tone: AddTone, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    for hz in range(400, 1000, 50):
        add_tone(hz, tags=["a", "b"])
    member.get("/api/v1/tags/")  # from now on the session is known
    with django_assert_max_num_queries(9):
        member.get("/api/v1/tracks/")


def test_search_by_file_and_by_track(member: Client, add_tone: AddTone, tmp_path: Path) -> None:
    one, two = add_tone(400, tags=["x"]), add_tone(410)
    path = write_audio(tmp_path / "q.wav", tone(2, 405))
    with path.open("rb") as file:
        answer = member.post("/api/v1/search/", {"file": file, "top_k": 5, "tags": "x"})
    body = answer.json()
    assert [hit["track"]["id"] for hit in body["hits"]] == [one.pk]
    assert set(body["took_ms"]) == {"decode", "encode", "index", "total"}
    assert set(body["hits"][0]) == {"track", "distance", "similarity", "start_ms", "end_ms"}
    asked = {"track": one.pk, "start_ms": 500, "top_k": 1}
    body = member.post("/api/v1/search/", asked, content_type="application/json").json()
    assert [hit["track"]["id"] for hit in body["hits"]] == [two.pk]
    body = member.get(f"/api/v1/tracks/{one.pk}/similar?kind=sound,music&top_k=3").json()
    assert [hit["track"]["id"] for hit in body["hits"]] == [two.pk]


def test_every_error_has_one_shape(member: Client, add_tone: AddTone, tmp_path: Path) -> None:
    add_tone(400)
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"nonsense")
    silent = write_audio(tmp_path / "s.wav", tone(1, level=0.0))
    json = {"content_type": "application/json"}
    answers = {
        (415, "unsupported_audio"): send(member, bad),
        (422, "silent_audio"): send(member, silent),
        (400, "invalid"): member.post("/api/v1/search/", {"top_k": 101, "track": 1}, **json),
        (400, "parse_error"): member.post("/api/v1/search/", "{", **json),
        (404, "not_found"): member.post("/api/v1/search/", {"track": 99}, **json),
        (405, "method_not_allowed"): member.put("/api/v1/tags/", {}, **json),
        (401, "not_authenticated"): Client().get("/api/v1/tracks/"),
    }
    for (status, code), answer in answers.items():
        assert answer.status_code == status, answer.content
        error = answer.json()["error"]
        assert set(error) == {"code", "message", "details"}
        assert error["code"] == code
        assert error["message"]
    for address in ("/api/nothing/", "/api/v1/tracks/a%0Ab/"):
        assert Client().get(address).json()["error"]["code"] == "not_found"
    huge = member.post("/api/v1/search/", {"track": 1, "collection": [10**30]}, **json)
    assert huge.status_code == 400
    flood = member.post("/api/v1/tracks/", {"title": "x" * 3_000_000})
    assert (flood.status_code, flood.json()["error"]["code"]) == (400, "bad_request")
    with bad.open("rb") as file:
        both = member.post("/api/v1/search/", {"file": file, "track": 1})
    assert "not both" in both.json()["error"]["message"]


def test_who_may_do_what(member: Client, curator: Client, add_tone: AddTone) -> None:
    track = add_tone(400)
    address = f"/api/v1/tracks/{track.pk}/"
    json = {"content_type": "application/json"}
    assert member.get(address).status_code == 200
    assert member.patch(address, {"title": "x"}, **json).status_code == 403
    assert member.delete(address).status_code == 403
    assert member.post("/api/v1/collections/", {"name": "n"}).status_code == 403
    assert curator.post("/api/v1/collections/", {"name": "n"}).status_code == 201
    assert curator.patch(address, {"title": "x"}, **json).status_code == 200
    anonymous = Client()
    assert anonymous.get(address).status_code == 401
    with override_settings(WHO_MAY_SEARCH="anyone"):
        assert anonymous.get(address).status_code == 200
        assert anonymous.delete(address).status_code == 401
    with override_settings(WHO_MAY_ADD="staff"):
        assert member.post("/api/v1/tracks/", {}).status_code == 403


def test_many_tags_fit_one_field(member: Client, tmp_path: Path) -> None:
    tags = [f"a longer tag {number:02}" for number in range(20)]
    answer = send(member, write_audio(tmp_path / "a.wav", tone(1)), tags=",".join(tags))
    assert sorted(answer.json()["tags"]) == tags


def test_a_stretch_of_a_track_whose_file_is_gone(member: Client, add_tone: AddTone) -> None:
    track = add_tone(400)
    default_storage.delete(track.file.name)
    answer = member.get(f"/api/v1/tracks/{track.pk}/similar?start_ms=100")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "file_gone")
    assert member.get(f"/api/v1/tracks/{track.pk}/audio").status_code == 404


def test_audio_answers_ranges(member: Client, add_tone: AddTone) -> None:
    track = add_tone(400)
    address = f"/api/v1/tracks/{track.pk}/audio"
    whole = b"".join(member.get(address).streaming_content)
    assert len(whole) == track.size_bytes
    for header, part in (("bytes=10-19", whole[10:20]), ("bytes=-5", whole[-5:])):
        answer = member.get(address, headers={"range": header})
        assert answer.status_code == 206
        assert b"".join(answer.streaming_content) == part
    odd = member.get(address, headers={"range": "bytes=" + "9" * 5000})
    assert odd.status_code == 200
    past = member.get(address, headers={"range": f"bytes={len(whole)}-"})
    assert (past.status_code, past["Content-Range"]) == (416, f"bytes */{len(whole)}")
    peaks = member.get(f"/api/v1/tracks/{track.pk}/peaks").json()
    assert peaks["duration_ms"] == 2000
    assert 0 < len(peaks["peaks"]) <= 1000


def test_deleting_a_collection_keeps_its_tracks(curator: Client, add_tone: AddTone) -> None:
    collection = Collection.objects.create(name="C")
    track = add_tone(400, collection=collection)
    assert curator.get("/api/v1/collections/").json()["results"][0]["tracks"] == 1
    assert curator.delete(f"/api/v1/collections/{collection.pk}/").status_code == 204
    assert Track.objects.get().collection is None
    assert track.pk


def test_health_is_open_and_the_schema_is_valid(client: Client, add_tone: AddTone) -> None:
    add_tone(400)
    assert client.get("/api/v1/live/").json() == {"status": "live"}
    ready = client.get("/api/v1/ready/").json()
    assert ready["status"] == "ready"
    assert set(ready["dependencies"]) == {"database", "index", "model"}
    assert ready["workers"]["message"] == "No worker is there. What is added waits for a worker."
    schema = client.get("/api/schema/", headers={"accept": "application/json"}).json()
    validate_schema(schema)
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), f"{method} {path} says nothing of itself"
            assert operation["tags"] != ["api"], f"{method} {path}"
    for path in ("/api/v1/search/", "/api/v1/tracks/{id}/similar", "/api/v1/tracks/{id}/audio"):
        assert path in schema["paths"]
    assert client.get("/api/docs/").status_code == 200
