"""What quotas count by, the sound track that is heard, and what was brought to enrol a speaker; of
those there were, nobody knows by now."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0007_fill_sort_keys_and_words")]
    operations = [
        migrations.AddIndex(
            model_name="track",
            index=models.Index(fields=["added_by", "size_bytes"], name="track_by_owner"),
        ),
        migrations.AddField(
            model_name="track",
            name="stream",
            field=models.PositiveSmallIntegerField(
                blank=True,
                editable=False,
                help_text="Which of the file's sound tracks is heard, from 0; none: it has but one",
                null=True,
            ),
        ),
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
