"""Voices in tracks are told apart for curators and for others; counts leave what all may read."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models


def keep_open_names(apps: Any, schema_editor: Any) -> None:
    """Names stay known to all where every recording of the speaker is for all."""
    enrolments = apps.get_model("voices", "Enrolment").objects
    private = enrolments.exclude(track__audience=None).values("speaker")
    enrolled = enrolments.exclude(speaker__in=private).values("speaker")
    voices = apps.get_model("voices", "DiarizedVoice").objects.filter(speaker__in=enrolled)
    voices.update(open_speaker=models.F("speaker"))


def leave_out_counts(apps: Any, schema_editor: Any) -> None:
    """Whoever asks reads what a threshold rests on: not how many are enrolled, some privately."""
    points = apps.get_model("voices", "OperatingPoint").objects
    for point in points.filter(source__startswith="enrolled recordings, "):
        point.source = point.source.partition(":")[0]
        point.save(update_fields=["source"])


class Migration(migrations.Migration):
    dependencies = [("voices", "0007_write_anew"), ("catalog", "0005_leave_analysis_and_speakers")]
    operations = [
        migrations.AddField(
            "diarizedvoice",
            "open_speaker",
            models.ForeignKey(blank=True, help_text="By enrolments only that everybody who may know of the track may know of", null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="voices.speaker"),
        ),
        migrations.RunPython(keep_open_names, migrations.RunPython.noop, elidable=True),
        migrations.RunPython(leave_out_counts, migrations.RunPython.noop, elidable=True),
    ]
