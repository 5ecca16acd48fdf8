"""A jingle that many recordings hold: its cluster is decided of in parts."""

import pytest
from django.test import Client

from apps.catalog.models import Track
from tests.unit.test_duplicates import new_track, pair

pytestmark = pytest.mark.django_db
COUNT = 24


@pytest.fixture
def tracks() -> list[Track]:
    """The first is like all others, the last like the one before it as well."""
    made = [new_track(f"Show {number:02}", duration_ms=12_000) for number in range(COUNT)]
    for number, other in enumerate(made[1:], 1):
        pair(made[0], other, share=0.5 + number / 100)
    pair(made[-2], made[-1])
    return made


def test_the_most_alike_come_first_and_the_others_after_them(
    tracks: list[Track], curator: Client
) -> None:
    (cluster,) = curator.get("/api/v1/duplicates/").json()["results"]
    assert (cluster["id"], cluster["more"]) == (tracks[0].pk, 4)
    shown = sorted(each["id"] for each in cluster["tracks"])
    assert shown == [tracks[0].pk, *(track.pk for track in tracks[5:])]
    page = curator.get("/duplicates/").content.decode()
    assert "24 copies" in page
    assert "4 more are shown once" in page
    answer = curator.post(f"/api/v1/duplicates/{tracks[0].pk}/dismiss/")
    assert answer.status_code == 204
    (rest,) = curator.get("/api/v1/duplicates/").json()["results"]
    assert (len(rest["tracks"]), rest["more"]) == (5, 0)


def test_one_of_many_is_shown_with_those_like_it(tracks: list[Track], curator: Client) -> None:
    last = tracks[-1]
    assert "Show 22" in curator.get(f"/duplicates/?track={last.pk}").content.decode()
    cluster = curator.get(f"/api/v1/duplicates/{last.pk}/").json()
    assert sorted(each["id"] for each in cluster["tracks"]) == [
        *(tracks[number].pk for number in (0, COUNT - 2, COUNT - 1)),
    ]
    assert (cluster["id"], cluster["more"]) == (last.pk, COUNT - 3)
    asked = {"track": last.pk, "retire": [tracks[0].pk]}
    curator.post(f"/api/v1/duplicates/{last.pk}/keep/", asked, content_type="application/json")
    assert Track.objects.get(pk=tracks[0].pk).replaced_by_id == last.pk
