"""The library is searched and sorted the same on SQLite and PostgreSQL, whatever the script."""

from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client

from apps.catalog.models import Collection, Tag, Track, TrackWords
from apps.catalog.selectors import with_name_like, with_words
from apps.catalog.services.collections import get_or_create_collection
from apps.catalog.services.editing import edit_track, edit_tracks
from apps.catalog.services.tags import delete_tags, rename_tag, tags_named
from apps.catalog.services.words import write_words
from apps.catalog.words import fold, sort_key
from apps.voices.models import Speaker
from apps.voices.speakers import save_speaker
from tests.unit.conftest import AddTone

FOUND = [  # title, what finds it, what does not
    ("Café Été", ["cafe", "CAFÉ", "e\u0301te\u0301", "ét"], ["caff"]),
    ("Этот город", ["ЭТОТ", "город", "города", "ГОР"], ["горы"]),
    ("Ёлка", ["елка", "ЁЛКИ"], []),
    ("Ελλάδα", ["ελλαδα", "ΕΛΛΑΔΑ"], []),
    ("İstanbul ışık", ["istanbul", "ISIK"], []),
    ("Smørrebrød Łódź", ["smorrebrod", "lodz", "ŁÓDŹ"], []),
    ("Straße", ["STRASSE", "straße"], []),
    ("Barking dog", ["dogs", "Dogs", "barks", "bark"], ["barn", "dogma"]),
    ("Dogs and wolves", ["dog", "dogs"], []),
    ("ガラス", ["ガラス"], ["カラス"]),
    ("मुझे", ["मुझे"], []),
    ("שָׁלוֹם", ["שלום"], []),
    ("مُحَمَّد", ["محمد"], []),
    ("ＦＵＬＬ width ﬁle", ["full", "file"], []),
    ("50% off_the \\ wall", ["50%", "off_", "\\"], ["5%0", "of_t"]),
]
SORTED = ["Ähre", "ahrend", "“Berlin”", "berlin 2", "Éclair", "Ödland", "zebra", "Ελλάδα", "Ёж"]


def title_of(track: Track) -> str:
    return track.title


def track(title: str, **fields: Any) -> Track:
    number = Track.objects.count()
    known = {"duration_ms": 1, "sample_rate": 1, "channels": 1, "size_bytes": 1}
    made = Track(title=title, sha256=f"{number:064}", file=f"{number}", **known, **fields)
    made.sort_key = sort_key(title)
    made.save()
    write_words([made])
    return made


def check_search_and_order() -> None:
    """What both databases have to answer."""
    for title, _, _ in FOUND:
        track(title)
    for title, by, not_by in FOUND:
        for text in by:
            found = set(map(title_of, with_words(Track.objects.all(), text)))
            assert title in found, (title, text)
        for text in not_by:
            found = set(map(title_of, with_words(Track.objects.all(), text)))
            assert title not in found, (title, text)
    Track.objects.all().delete()
    assert not TrackWords.objects.exists()
    for title in sorted(SORTED):
        track(title)
    assert list(map(title_of, Track.objects.order_by("sort_key", "-id"))) == SORTED
    assert [tag.name for tag in tags_in_order()] == ["ähre", "éclair", "zebra"]


def tags_in_order() -> list[Tag]:
    tags_named(["zebra", "éclair", "ähre"])
    return list(Tag.objects.all())


def test_search_and_order(db: None) -> None:
    check_search_and_order()


def titles(client: Client, query: str) -> list[str]:
    return [row["title"] for row in client.get(f"/api/v1/tracks/?{query}").json()["results"]]


def test_every_way_to_change_a_text_changes_what_finds_it(
    add_tone: AddTone, member: Client
) -> None:
    one = add_tone(440, listen=False, fields={"title": "Cafe\u0301"}, tags=["Dogs"])
    two = add_tone(450, listen=False, fields={"title": "Älter"})
    assert one.title == "Café"
    assert titles(member, "q=CAFE") == titles(member, "q=dog") == ["Café"]
    assert titles(member, "ordering=title") == ["Älter", "Café"]
    stale = Track.objects.get(pk=one.pk)
    edit_track(track=one, changes={"title": "Zoe\u0308", "artist": "Łona"})
    edit_track(track=stale, changes={"album": "Später"})
    assert titles(member, "q=lona") == titles(member, "q=spater zoe") == ["Zoë"]
    assert titles(member, "q=cafe") == []
    assert titles(member, "ordering=-title") == ["Zoë", "Älter"]
    edit_tracks(track_ids=[one.pk, two.pk], changes={"description": "Été"})
    assert len(titles(member, "q=ete zo")) == 1
    assert len(titles(member, "q=ete")) == 2
    tag = Tag.objects.get()
    tag.name = "wölfe"
    rename_tag(tag)
    assert titles(member, "q=WOLFE") == ["Zoë"]
    assert titles(member, "q=dog") == []
    delete_tags([tag])
    assert titles(member, "q=wolfe") == []


def test_names_are_kept_in_nfc(curator: Client) -> None:
    made = curator.post("/api/v1/collections/", {"name": "E\u0301te\u0301"})
    assert made.json()["name"] == "Été"
    again = curator.post("/api/v1/collections/", {"name": "E\u0301te\u0301"})
    assert again.status_code == 400
    assert get_or_create_collection("E\u0301te\u0301").pk == made.json()["id"]
    curator.post("/api/v1/collections/", {"name": "Zug"})
    get_or_create_collection("Äpfel")
    listed = curator.get("/api/v1/collections/").json()["results"]
    assert [row["name"] for row in listed] == ["Äpfel", "Été", "Zug"]
    assert {tag.name for tag in tags_named(["E\u0301te\u0301", "Été"])} == {"été"}


def test_the_console_compares_names_in_nfc(admin_client: Client) -> None:
    get_or_create_collection("Été")
    page = admin_client.post("/admin/catalog/collection/add/", {"name": "E\u0301te\u0301"})
    assert page.status_code == 200  # it is asked again
    assert Collection.objects.count() == 1


def test_a_text_that_is_longer_in_nfc_fits(member: Client, add_tone: AddTone) -> None:
    letter = "\u0958"  # one that NFC always takes apart
    title = edit_track(track=add_tone(440, listen=False), changes={"title": letter * 300}).title
    assert title == "\u0915\u093c" * 150
    assert len(get_or_create_collection(letter * 200).name) == 200


@pytest.mark.parametrize("text", ["\u0301", "\u200d", "\ud800", "%", "_", "\\", "'", "=", "= "])
def test_odd_words_are_answered(member: Client, text: str) -> None:
    assert member.get("/api/v1/tracks/", {"q": text.encode("utf-8", "surrogatepass")}).status_code


def test_the_console_finds_tags_collections_and_speakers(admin_client: Client) -> None:
    """In the database, by the words that are kept for it: any order, and by their stems."""
    tags_named(["été", "hiver"])
    for name in ("Ёлка", "Barking dogs"):
        get_or_create_collection(name)
    for name, number in (("Zoë", None), ("Łona", "X-17")):
        save_speaker(speaker=Speaker(name=name, external_id=number), changed=(), by=None)

    def found(what: str, text: str) -> set[str]:
        page = admin_client.get(f"/admin/{what}/", {"q": text})
        return {row.name for row in page.context["cl"].result_list}

    assert found("catalog/tag", "ETE") == {"été"}
    assert found("catalog/collection", "ЕЛКА") == {"Ёлка"}
    assert found("catalog/collection", "dog barks") == {"Barking dogs"}
    assert found("voices/speaker", "ZOE") == {"Zoë"}
    assert found("voices/speaker", "x-17 lona") == {"Łona"}
    assert found("voices/speaker", "") == {"Zoë", "Łona"}


def test_names_of_speakers_are_in_nfc_and_sorted_as_titles_are(admin_client: Client) -> None:
    """However they are made and changed."""
    api, form = (
        "/api/v1/speakers/",
        {"groups": "", "notes": "", "consent_by": "", "external_id": ""},
    )
    made = admin_client.post(api, {"name": "Zoe\u0308"})
    assert made.json()["name"] == "Zoë"
    admin_client.post("/voices/speakers/add/", {**form, "name": "A\u0308nne"})
    admin_client.post("/admin/voices/speaker/add/", {**form, "name": "e\u0301mile"})
    admin_client.post(api, {"name": "bert"})

    def names() -> list[str]:
        page = admin_client.get("/voices/").context["page"]
        listed = [row["name"] for row in admin_client.get(api).json()["results"]]
        assert listed == [speaker.name for speaker in page]
        return listed

    assert names() == ["Änne", "bert", "émile", "Zoë"]
    row = Speaker.objects.get(name="bert")
    admin_client.patch(f"{api}{row.pk}/", {"name": "Öse"}, "application/json")
    row = Speaker.objects.get(name="Zoë")
    admin_client.post(f"/voices/speakers/{row.pk}/", {**form, "name": "A\u0301da"})
    assert names() == ["Áda", "Änne", "émile", "Öse"]


@pytest.fixture
def before_words(transactional_db: None) -> Any:
    """The models as they were before there was anything to search and sort by."""
    executor = MigrationExecutor(connection)
    before = [("catalog", "0005_leave_analysis_and_speakers"), ("voices", "0009_one_audit_log")]
    executor.migrate(before)
    yield executor.loader.project_state([*before, ("analysis", "0003_waveforms")]).apps
    MigrationExecutor(connection).migrate(MigrationExecutor(connection).loader.graph.leaf_nodes())


def test_what_was_there_before_is_found_and_sorted(before_words: Any) -> None:
    """Names that are one in NFC become one tag, which the index is told of."""
    models = before_words.get_model
    known = {"duration_ms": 1, "sample_rate": 1, "channels": 1, "size_bytes": 1}
    tracks = [
        models("catalog", "Track").objects.create(
            title=title, sha256=f"{number:064}", file=f"{number}", **known
        )
        for number, title in enumerate(["Zug", "E\u0301te\u0301", "Äpfel"])
    ]
    for name, track_ids in (("été", [0]), ("e\u0301te\u0301", [0, 1]), ("a\u0308", [2])):
        tag = models("catalog", "Tag").objects.create(name=name)
        tag.tracks.set([tracks[number].pk for number in track_ids])
    models("catalog", "Collection").objects.create(name="E\u0301te\u0301")
    for name in ("Zoe\u0308", "Änne"):
        models("voices", "Speaker").objects.create(name=name)
    spaces = models("analysis", "Space").objects
    space = spaces.create(name="x", kind="embedding", analyzer="x", state="retired")
    for each in tracks:
        each.analyses.create(space_id=space.pk, state="ready")
    MigrationExecutor(connection).migrate(MigrationExecutor(connection).loader.graph.leaf_nodes())
    by_title = Track.objects.order_by("sort_key")
    assert [each.title for each in by_title] == ["Äpfel", "Été", "Zug"]
    assert [each.title for each in with_words(by_title, "APFEL")] == ["Äpfel"]
    tagged = {
        tag.name: sorted(tag.tracks.values_list("title", flat=True)) for tag in Tag.objects.all()
    }
    assert tagged == {"ä": ["Äpfel"], "été": ["Zug", "Été"]}
    assert Collection.objects.get().name == "Été"
    assert with_name_like(Collection.objects.all(), "ete").exists()
    assert [speaker.name for speaker in Speaker.objects.all()] == ["Änne", "Zoë"]
    assert with_name_like(Speaker.objects.all(), "zoe").exists()
    stale = Track.objects.filter(analyses__index_stale=True).values_list("title", flat=True)
    assert sorted(stale) == ["Zug", "Äpfel", "Été"]


def test_folding_keeps_what_makes_another_letter() -> None:
    assert fold("ガ") != fold("カ")
    assert fold("ñ") == "n"
    assert fold("Æther’s") == "aether's"
