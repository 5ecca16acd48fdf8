"""Kept results name tracks by number only: what else was kept of them outlived their erasure."""

from typing import Any

from django.db import migrations


def forget_names(apps: Any, schema_editor: Any) -> None:
    for kept in apps.get_model("search", "Search").objects.iterator(chunk_size=100):
        for hit in kept.result.get("hits", ()):
            hit["track"] = {"id": hit["track"]["id"]}
        kept.save(update_fields=["result"])


class Migration(migrations.Migration):
    dependencies = [("search", "0001_initial")]
    operations = [migrations.RunPython(forget_names, migrations.RunPython.noop)]
