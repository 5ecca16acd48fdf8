"""Spaces and analyses were tables of the catalogue; they come over as they are."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models


def move_content_types(apps: Any, schema_editor: Any) -> None:
    content_types = apps.get_model("contenttypes", "ContentType").objects
    for model, name in (("space", "space"), ("listening", "trackanalysis")):
        content_types.filter(app_label="catalog", model=model).update(
            app_label="analysis", model=name
        )


class Migration(migrations.Migration):
    initial = True
    dependencies = [
        ("catalog", "0004_listening_request_id"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL("ALTER TABLE catalog_space RENAME TO analysis_space"),
                migrations.RunSQL("ALTER TABLE catalog_listening RENAME TO analysis_trackanalysis"),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="Space",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("name", models.CharField(max_length=100, unique=True)),
                        ("encoder", models.CharField(max_length=100)),
                        ("dimension", models.PositiveIntegerField()),
                        ("state", models.CharField(choices=[("building", "Building"), ("active", "Active"), ("retired", "Retired")], default="building", max_length=10)),
                        ("is_default", models.BooleanField(default=False)),
                        ("created_at", models.DateTimeField(auto_now_add=True)),
                        ("activated_at", models.DateTimeField(blank=True, null=True)),
                    ],
                    options={
                        "ordering": ["created_at"],
                        "constraints": [models.UniqueConstraint(condition=models.Q(("is_default", True)), fields=("is_default",), name="one_default_space")],
                    },
                ),
                migrations.CreateModel(
                    name="TrackAnalysis",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("state", models.CharField(choices=[("queued", "Queued"), ("listening", "Listening"), ("ready", "Ready"), ("failed", "Failed")], default="queued", max_length=10)),
                        ("reason", models.CharField(blank=True, max_length=500)),
                        ("attempts", models.PositiveSmallIntegerField(default=0)),
                        ("claimed_by", models.CharField(blank=True, max_length=120)),
                        ("heartbeat_at", models.DateTimeField(blank=True, null=True)),
                        ("windows", models.PositiveIntegerField(default=0)),
                        ("index_stale", models.BooleanField(default=False)),
                        ("request_id", models.CharField(blank=True, default="", help_text="The request that asked for it, as it is logged", max_length=64)),
                        ("queued_at", models.DateTimeField(auto_now_add=True)),
                        ("finished_at", models.DateTimeField(blank=True, null=True)),
                        ("space", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="analyses", to="analysis.space")),
                        ("track", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="analyses", to="catalog.track")),
                    ],
                    options={
                        "ordering": ["id"],
                        "indexes": [models.Index(fields=["space", "state", "id"], name="listening_work"), models.Index(condition=models.Q(("index_stale", True)), fields=["id"], name="listening_index_stale")],
                        "constraints": [models.UniqueConstraint(fields=("track", "space"), name="one_listening_per_space")],
                    },
                ),
            ],
        ),
        migrations.RunPython(move_content_types, migrations.RunPython.noop),
    ]
