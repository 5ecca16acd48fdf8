"""Of each kind of space one is active; analyses are leased like all other work."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("analysis", "0001_move_from_catalog")]
    operations = [
        migrations.RenameField("space", "encoder", "analyzer"),
        migrations.AddField(
            "space",
            "kind",
            models.CharField(default="embedding", help_text="What its representations are; of each kind one space is active", max_length=20),
            preserve_default=False,
        ),
        migrations.AlterField(
            "space",
            "dimension",
            models.PositiveIntegerField(default=0, help_text="0: it is in no vector index"),
        ),
        migrations.RemoveConstraint("space", "one_default_space"),
        migrations.RemoveField("space", "is_default"),
        migrations.AddConstraint(
            "space",
            models.UniqueConstraint(condition=models.Q(("state", "active")), fields=("kind",), name="one_active_space_of_a_kind"),
        ),
        migrations.RenameField("trackanalysis", "claimed_by", "leased_by"),
        migrations.AlterField(
            "trackanalysis",
            "leased_by",
            models.CharField(blank=True, help_text="Host and process id", max_length=120),
        ),
        migrations.AlterField(
            "trackanalysis",
            "reason",
            models.CharField(blank=True, help_text="Why it failed, or waits", max_length=500),
        ),
        migrations.AlterField(
            "trackanalysis",
            "windows",
            models.PositiveIntegerField(default=0, help_text="Vectors of it in the index"),
        ),
        migrations.AlterField(
            "trackanalysis",
            "index_stale",
            models.BooleanField(default=False, help_text="Its payload changed and the index does not know yet"),
        ),
        migrations.AddField("trackanalysis", "payload_version", models.PositiveIntegerField(default=0)),
        migrations.RemoveConstraint("trackanalysis", "one_listening_per_space"),
        migrations.AddConstraint(
            "trackanalysis",
            models.UniqueConstraint(fields=("track", "space"), name="one_analysis_per_space"),
        ),
        migrations.RenameIndex("trackanalysis", new_name="analysis_work", old_name="listening_work"),
        migrations.RenameIndex("trackanalysis", new_name="analysis_index_stale", old_name="listening_index_stale"),
    ]
