"""What was erased is noted until the files that held it are written anew."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("analysis", "0003_waveforms")]
    operations = [
        migrations.CreateModel(
            "Leftover",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("erased_at", models.DateTimeField(auto_now_add=True)),
                ("space", models.ForeignKey(help_text="Whose collection in the index holds it; none: the database", null=True, on_delete=django.db.models.deletion.CASCADE, related_name="leftovers", to="analysis.space")),
            ],
            options={"ordering": ["erased_at"]},
        ),
    ]
