"""Enrolments live in a space of kind speaker; jobs are leased like all other work."""

import django.db.models.deletion
from django.db import migrations, models

LEASED = [
    ("leased_by", models.CharField(blank=True, help_text="Host and process id", max_length=120)),
    ("request_id", models.CharField(blank=True, default="", help_text="The request that asked for it, as it is logged", max_length=64)),
    ("finished_at", models.DateTimeField(blank=True, null=True)),
]


class Migration(migrations.Migration):
    dependencies = [
        ("voices", "0003_move_speakers"),
        ("catalog", "0005_leave_analysis_and_speakers"),
    ]
    operations = [
        migrations.RenameField("diarization", "asked_at", "queued_at"),
        migrations.AlterModelOptions("measurement", {"ordering": ["-queued_at"]}),
        migrations.RenameField("measurement", "asked_at", "queued_at"),
        *(
            migrations.AddField(model, name, field.clone())
            for model in ("diarization", "measurement")
            for name, field in LEASED
        ),
        migrations.AddField(
            "enrolment",
            "index_stale",
            models.BooleanField(default=False, help_text="Its payload changed and the index does not know yet"),
        ),
        migrations.AddField("enrolment", "payload_version", models.PositiveIntegerField(default=0)),
        migrations.RemoveField("enrolment", "indexed"),
        migrations.RemoveConstraint("enrolment", "one_enrolment_per_track"),
        migrations.RenameField("enrolment", "space", "space_name"),
        migrations.AddField(
            "enrolment",
            "space",
            models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name="enrolments", to="analysis.space"),
        ),
    ]
