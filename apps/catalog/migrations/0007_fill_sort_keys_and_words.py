"""Texts in NFC, and what is searched and sorted by them; a thousand tracks at a time, so that a
migration that was broken off goes on where it stopped."""

from typing import Any

from django.db import migrations, transaction
from django.db.models import F

from apps.catalog.words import nfc, searched_words, sort_key

AT_ONCE = 1_000
SEARCHED = ("title", "artist", "album", "description", "original_name")


def fill_tracks(apps: Any, schema_editor: Any) -> None:
    tracks = apps.get_model("catalog", "Track").objects.order_by("pk")
    while piece := list(tracks.filter(searched=None).only(*SEARCHED)[:AT_ONCE]):
        with transaction.atomic(schema_editor.connection.alias):
            _fill(apps, piece)


def _fill(apps: Any, piece: list[Any]) -> None:
    model, words = apps.get_model("catalog", "Track"), apps.get_model("catalog", "TrackWords")
    changed = {"sort_key"}
    for track in piece:
        for field in SEARCHED:
            text = getattr(track, field)
            if text != nfc(text):
                setattr(track, field, nfc(text))
                changed.add(field)
        track.sort_key = sort_key(track.title)
    model.objects.bulk_update(piece, changed, batch_size=100)
    words.objects.bulk_create(
        words(track=track, words=searched_words(getattr(track, field) for field in SEARCHED))
        for track in piece
    )


def fill_names(apps: Any, schema_editor: Any) -> None:
    """Collections and tags; two that are one name in NFC stay as they are if they are collections,
    and become one tag if they are tags."""
    collections = apps.get_model("catalog", "Collection").objects
    for one in collections.iterator(AT_ONCE):
        others = collections.filter(name=nfc(one.name), audience=one.audience)
        name = one.name if others.exists() else nfc(one.name)
        collections.filter(pk=one.pk).update(name=name, sort_key=sort_key(name))
    tags = apps.get_model("catalog", "Tag").objects
    for tag in list(tags.all()):
        name = nfc(tag.name)
        with transaction.atomic(schema_editor.connection.alias):
            if name != tag.name:
                _tell_index(apps, tag)
                other = tags.filter(name=name).first()
                if other:
                    _merge(apps, tag, other)
                    continue
            derived = {"words": searched_words([name]), "sort_key": sort_key(name)}
            tags.filter(pk=tag.pk).update(name=name, **derived)


def _merge(apps: Any, tag: Any, into: Any) -> None:
    through = apps.get_model("catalog", "Track").tags.through.objects
    both = through.filter(tag=into).values("track_id")
    through.filter(tag=tag).exclude(track_id__in=both).update(tag=into)
    tag.delete()


def _tell_index(apps: Any, tag: Any) -> None:
    rows = apps.get_model("analysis", "TrackAnalysis").objects
    tagged = rows.filter(track__tags=tag, space__kind="embedding").values("pk")
    stale = {"index_stale": True, "payload_version": F("payload_version") + 1}
    rows.filter(pk__in=list(tagged.values_list("pk", flat=True))).update(**stale)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("catalog", "0006_sort_keys_and_words"),
        ("analysis", "0003_waveforms"),
    ]
    operations = [
        migrations.RunPython(fill_tracks, migrations.RunPython.noop, elidable=True),
        migrations.RunPython(fill_names, migrations.RunPython.noop, elidable=True),
    ]
