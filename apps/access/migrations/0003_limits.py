"""The table of the cache "limits", made here so that every way of setting up makes it."""

from django.core.management import call_command
from django.db import migrations

TABLE = "access_limits"


def make_table(apps, schema_editor):
    call_command("createcachetable", TABLE, database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    dependencies = [("access", "0002_hash_the_tokens_there_were")]

    operations = [migrations.RunPython(make_table, migrations.RunPython.noop, elidable=False)]
