import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("voices", "0005_make_speaker_spaces")]
    operations = [
        migrations.RemoveField("enrolment", "space_name"),
        migrations.AlterField(
            "enrolment",
            "space",
            models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="enrolments", to="analysis.space"),
        ),
        migrations.AddConstraint(
            "enrolment",
            models.UniqueConstraint(fields=("track", "space"), name="one_enrolment_per_track"),
        ),
    ]
