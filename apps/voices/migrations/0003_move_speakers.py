"""Speakers were a table of the catalogue; they come over as they are."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models


def move_content_types(apps: Any, schema_editor: Any) -> None:
    content_types = apps.get_model("contenttypes", "ContentType").objects
    content_types.filter(app_label="catalog", model="speaker").update(app_label="voices")


class Migration(migrations.Migration):
    dependencies = [
        ("voices", "0002_jobs_and_cohort"),
        ("analysis", "0003_waveforms"),
    ]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL("ALTER TABLE catalog_speaker RENAME TO voices_speaker"),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="Speaker",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("name", models.CharField(max_length=200)),
                        ("external_id", models.CharField(blank=True, max_length=200, null=True, unique=True)),
                        ("notes", models.TextField(blank=True)),
                        ("groups", models.JSONField(blank=True, default=list, help_text='["staff", …], lower case')),
                        ("consent_by", models.CharField(blank=True, help_text="Who gave consent to being recognised", max_length=200)),
                        ("consent_on", models.DateField(blank=True, null=True)),
                        ("consent_until", models.DateField(blank=True, help_text="The last day on which the voice is matched; none: no end", null=True)),
                        ("created_at", models.DateTimeField(auto_now_add=True)),
                    ],
                    options={"ordering": ["name"]},
                ),
                migrations.AlterField(
                    "enrolment",
                    "speaker",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="enrolments", to="voices.speaker"),
                ),
                migrations.AlterField(
                    "diarizedvoice",
                    "speaker",
                    models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="diarized_voices", to="voices.speaker"),
                ),
            ],
        ),
        migrations.RunPython(move_content_types, migrations.RunPython.noop),
    ]
