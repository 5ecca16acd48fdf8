"""Speakers by name as tracks are by title: in NFC, searched and sorted without case and accents."""

from typing import Any

from django.db import migrations, models

from apps.catalog.words import nfc, searched_words, sort_key

MAX_NAME = 200


def fill(apps: Any, schema_editor: Any) -> None:
    speakers = apps.get_model("voices", "Speaker").objects
    for speaker in speakers.order_by("pk").iterator(1_000):
        name = nfc(speaker.name, MAX_NAME)
        searched = searched_words([name, speaker.external_id or ""])
        derived = {"words": searched, "sort_key": sort_key(name)}
        speakers.filter(pk=speaker.pk).update(name=name, **derived)


class Migration(migrations.Migration):
    dependencies = [("voices", "0009_one_audit_log")]
    operations = [
        migrations.AlterModelOptions(name="speaker", options={"ordering": ["sort_key", "name"]}),
        migrations.AddField(
            model_name="speaker",
            name="words",
            field=models.TextField(
                default="", editable=False, help_text="Name and external id as they are searched"
            ),
        ),
        migrations.AddField(
            model_name="speaker",
            name="sort_key",
            field=models.BinaryField(default=b"", editable=False, help_text="Of the name"),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
    ]
