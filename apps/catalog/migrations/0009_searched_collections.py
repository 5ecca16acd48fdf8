"""Names of collections as they are searched, like those of tags."""

from typing import Any

from django.db import migrations, models

from apps.catalog.words import searched_words


def fill(apps: Any, schema_editor: Any) -> None:
    collections = apps.get_model("catalog", "Collection").objects
    for pk, name in list(collections.values_list("pk", "name")):
        collections.filter(pk=pk).update(words=searched_words([name]))


class Migration(migrations.Migration):
    dependencies = [("catalog", "0008_owners_streams_enrolments")]
    operations = [
        migrations.AddField(
            model_name="collection",
            name="words",
            field=models.TextField(
                default="", editable=False, help_text="Its name as it is searched"
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
    ]
