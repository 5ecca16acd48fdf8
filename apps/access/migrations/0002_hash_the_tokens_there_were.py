"""Tokens of Django REST framework were kept in the clear: from now on only their digests are."""

import hashlib
from typing import Any

from django.db import migrations

TABLE = "authtoken_token"


def move_tokens(apps: Any, schema_editor: Any) -> None:
    connection = schema_editor.connection
    token = apps.get_model("access", "ApiToken")
    with connection.cursor() as cursor:
        if TABLE not in connection.introspection.table_names(cursor):
            return
        cursor.execute(f"SELECT key, user_id FROM {TABLE}")  # noqa: S608
        for key, user_id in cursor.fetchall():
            token.objects.create(
                user_id=user_id,
                name="from before",
                digest=hashlib.sha256(key.encode()).hexdigest(),
                prefix=key[:8],
                scopes=["read", "voices", "write"],
            )
        cursor.execute(f"DROP TABLE {TABLE}")
        cursor.execute("DELETE FROM django_migrations WHERE app = 'authtoken'")
    apps.get_model("contenttypes", "ContentType").objects.filter(app_label="authtoken").delete()


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0001_initial"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(move_tokens, migrations.RunPython.noop)]
