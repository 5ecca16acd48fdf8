"""Spaces, analyses and speakers are tables of other apps now."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0004_listening_request_id"),
        ("analysis", "0001_move_from_catalog"),
        ("voices", "0003_move_speakers"),
    ]
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    "track",
                    "speaker",
                    models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="tracks", to="voices.speaker"),
                ),
                migrations.DeleteModel("Listening"),
                migrations.DeleteModel("Space"),
                migrations.DeleteModel("Speaker"),
            ]
        )
    ]
