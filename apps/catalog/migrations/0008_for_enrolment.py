"""Which recordings were brought to enrol a speaker; of those there were, nobody knows by now."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0007_fill_sort_keys_and_words")]
    operations = [
        migrations.AddField(
            model_name="track",
            name="for_enrolment",
            field=models.BooleanField(
                default=False,
                editable=False,
                help_text="Brought to enrol a speaker: searches by sound leave it out unless asked",
            ),
        ),
    ]
