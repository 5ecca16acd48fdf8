"""A space for each voice encoder that somebody is enrolled with; the start chooses the active one."""

from typing import Any

from django.db import migrations


def make_spaces(apps: Any, schema_editor: Any) -> None:
    spaces = apps.get_model("analysis", "Space").objects
    enrolments = apps.get_model("voices", "Enrolment").objects
    for name in set(enrolments.values_list("space_name", flat=True)):
        of_it = enrolments.filter(space_name=name)
        space, _ = spaces.get_or_create(
            name=name,
            defaults={
                "kind": "speaker",
                "analyzer": name.rpartition("-v")[0],
                "dimension": len(bytes(of_it.first().embedding)) // 4,
            },
        )
        of_it.update(space=space, index_stale=True)


class Migration(migrations.Migration):
    dependencies = [("voices", "0004_enrolments_in_spaces")]
    operations = [migrations.RunPython(make_spaces, migrations.RunPython.noop)]
