"""Hostile names, titles and tags stay texts: on every page, in the console and in the API.

FUZZ_EXAMPLES says how many of them. That a page is not changed by a text is seen by its shape: the
elements and the names of their attributes are those of the same page with a harmless text.
"""

import os
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apps.catalog.models import Collection, Tag, Track
from apps.catalog.services.adding import clean_tags
from apps.catalog.services.editing import edit_track
from apps.search.models import Search
from apps.voices.models import Speaker
from tests.fuzz.texts import HTML, any_text
from tests.fuzz.world import World, person

pytestmark = pytest.mark.django_db(transaction=True)
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "6"))
HARMLESS = "harmless"
ADDRESSES = ("href", "src", "action", "formaction", "hx-get", "hx-post", "data-src", "data-peaks")

many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
sizes = st.sampled_from(["x" * 1_000_000, "雨" * 300_000, "<b>" * 100_000, "x" * 3_000_000])


class Shape(HTMLParser):
    """The elements of a page, what it says, and where it leads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.text = ""
        self.addresses: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "br":  # a description has one for each of its lines
            self.elements.append((tag, *sorted(name for name, _ in attrs)))
        self.addresses += [value or "" for name, value in attrs if name in ADDRESSES]

    def handle_endtag(self, tag: str) -> None:
        self.elements.append((f"/{tag}",))

    def handle_comment(self, data: str) -> None:
        self.elements.append(("comment",))

    def unknown_decl(self, data: str) -> None:
        self.elements.append(("declaration",))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def world(tmp_path: Path) -> World:
    there = World(tmp_path)
    there.refill()
    return there


@pytest.fixture
def administrator(world: World) -> Client:
    """Who sees all there is; and has searched once."""
    client = Client()
    client.force_login(person("administrator"))
    with world.sound().open("rb") as clip:
        assert client.post("/", {"clip": clip, "top_k": 3}).status_code == 302
    return client


def write_everywhere(text: str) -> Track:
    """The text in every place that holds one, by the services, which forbid less than the API."""
    track = Track.objects.order_by("pk")[0]
    tags = clean_tags([text.replace(",", ";")]) or ["tag"]
    Tag.objects.all().delete()
    Speaker.objects.update(name=text[:200], groups=tags, notes=text, consent_by=text[:200])
    for number, collection in enumerate(Collection.objects.all()):
        Collection.objects.filter(pk=collection.pk).update(name=f"{number}{text}"[:200])
    fields = dict.fromkeys(("title", "artist", "album"), text[:300])
    group = Collection.objects.order_by("pk")[0]
    changes = {**fields, "description": text, "collection": group}
    edit_track(track=track, changes=changes, tags=tags)
    heard = [{"name": text[:100], "probability": 0.5}]
    Track.objects.update(original_name=text[:255], auto_tags=heard, title=text[:300])
    return track


def seen(client: Client, track: Track, text: str) -> dict[str, str]:
    """Every page that shows what was written, by its name."""
    speaker = Speaker.objects.order_by("pk")[0]
    kept = Search.objects.latest("created_at")
    Search.objects.exclude(pk=kept.pk).delete()
    Search.objects.update(clip_name=text[:255])
    asked = urlencode({"tags": text.replace(",", ";")[:100], "min_s": 9999, "top_k": 3})
    pages = {
        "search": "/",
        "library": "/library/",
        "track": f"/tracks/{track.pk}/",
        "delete": f"/tracks/{track.pk}/delete/",
        "similar": f"/tracks/{track.pk}/similar/?top_k=3",
        "nothing": f"/tracks/{track.pk}/similar/?{asked}",
        "voices": "/voices/",
        "speaker": f"/voices/speakers/{speaker.pk}/",
        "erase": f"/voices/speakers/{speaker.pk}/erase/",
        "console tracks": "/admin/catalog/track/",
        "console track": f"/admin/catalog/track/{track.pk}/change/",
        "console tags": "/admin/catalog/tag/",
        "console collections": "/admin/catalog/collection/",
        "console speakers": "/admin/voices/speaker/",
    }
    answers = {name: client.get(address) for name, address in pages.items()}
    answers["result"] = client.post(f"/searches/{kept.pk}/", {"top_k": 3}, follow=True)
    for name, answer in answers.items():
        assert answer.status_code == 200, (name, answer.status_code)
    return {name: answer.content.decode() for name, answer in answers.items()}


@pytest.fixture
def usual(administrator: Client) -> dict[str, Shape]:
    """The same pages with a harmless text."""
    pages = seen(administrator, write_everywhere(HARMLESS), HARMLESS)
    return {name: Shape(page) for name, page in pages.items()}


@many
@given(text=any_text(2000).map(lambda text: text.replace("\x00", "")))
@example(text="".join(HTML).replace("\x00", ""))
def test_no_page_is_changed_by_a_text(
    administrator: Client, usual: dict[str, Shape], text: str
) -> None:
    text = text.encode("utf-8", "replace").decode()
    text = text if text.strip() else HARMLESS
    there = seen(administrator, write_everywhere(text), text)
    for name, page in there.items():
        shape = Shape(page)
        assert shape.elements == usual[name].elements, name
        for address in shape.addresses:
            assert address.startswith(("/", "?", "#", ".")) or address == "", (name, address)
    assert text[:300] in Shape(there["track"]).text


@pytest.fixture
def ask(administrator: Client) -> Callable[..., Any]:
    def send(method: str, address: str, **fields: object) -> Any:
        answer = getattr(administrator, method)(address, fields, content_type="application/json")
        assert answer.headers["Content-Type"] == "application/json"
        if answer.status_code not in (200, 201):
            assert answer.status_code in (400, 413), (address, answer.status_code)
            assert set(answer.json()) == {"error"}
            assert len(answer.content) < 10_000, "an error does not repeat what was sent"
        return answer

    return send


@many
@given(text=st.one_of(any_text(2000), sizes))
@example(text="a" * 300)
@example(text="\x00")
@example(text="\ud800")
def test_the_api_keeps_a_text_or_refuses_it(ask: Callable[..., Any], text: str) -> None:
    track = f"/api/v1/tracks/{Track.objects.order_by('pk')[0].pk}/"
    speaker = f"/api/v1/speakers/{Speaker.objects.order_by('pk')[0].pk}/"
    collection = f"/api/v1/collections/{Collection.objects.order_by('pk')[0].pk}/"
    for address, fields in (
        (track, ("title", "artist", "album", "description")),
        (speaker, ("name", "external_id", "notes", "consent_by")),
        (collection, ("name", "description")),
    ):
        for field in fields:
            answer = ask("patch", address, **{field: text})
            if answer.status_code == 200:
                assert (answer.json()[field] or "") == text.strip()
    for address, field in ((track, "tags"), (speaker, "groups")):
        answer = ask("patch", address, **{field: [text]})
        if answer.status_code == 200:
            assert sorted(answer.json()[field]) == sorted(clean_tags([text]))
    ask("post", "/api/v1/collections/", name=text)
    ask("post", "/api/v1/speakers/", name=text, groups=[text, text])
    ask("post", "/api/v1/search/", track=Track.objects.order_by("pk")[0].pk, tags=[text, "a"])


numbers = st.one_of(st.integers(), st.floats(), st.sampled_from(["1e309", "٣", "1_0", "0x1", "-0"]))
answers = st.one_of(any_text(300), numbers.map(str), st.dates().map(str), st.datetimes().map(str))
QUESTIONS = {
    "/library/": ("q", "collection", "kind", "tag", "state", "sort", "page"),
    "/library/states/": ("ids",),
    "/tracks/{}/similar/": (
        *("top_k", "start_s", "end_s", "collections", "kinds", "tags", "part"),
        *("min_s", "max_s", "added_from", "added_to"),
    ),
    "/api/v1/tracks/": (
        *("q", "collection", "tag", "kind", "state", "added_from", "added_to"),
        *("sha256", "ordering", "page", "page_size", "format"),
    ),
    "/admin/catalog/track/": ("q", "p", "o", "state", "kind__exact", "collection__id__exact"),
    "/admin/catalog/tag/": ("q", "p", "o", "e"),
    "/api/v1/speakers/diarize/": ("track", "format"),
}


@settings(parent=many, max_examples=3 * EXAMPLES)
@given(data=st.data())
def test_pages_answer_any_question(administrator: Client, data: st.DataObject) -> None:
    address = data.draw(st.sampled_from(sorted(QUESTIONS)))
    asked = data.draw(st.dictionaries(st.sampled_from(QUESTIONS[address]), answers, min_size=1))
    query = urlencode(asked, errors="surrogatepass")
    track = Track.objects.order_by("pk")[0].pk
    answer = administrator.get(f"{address.format(track)}?{query}")
    assert answer.status_code in (200, 302, 400, 404), asked
