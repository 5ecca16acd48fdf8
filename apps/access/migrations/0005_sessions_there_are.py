"""Sessions from before are listed, too, and can be ended; their browsers are not known yet."""

from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import migrations
from django.utils import timezone


def list_sessions(apps: Any, schema_editor: Any) -> None:
    users = set(apps.get_model("auth", "User").objects.values_list("pk", flat=True))
    listed = apps.get_model("access", "BrowserSession")
    now = timezone.now()
    found = apps.get_model("sessions", "Session").objects.filter(expire_date__gt=now)
    for session in found.iterator():
        user = str(SessionStore().decode(session.session_data).get(SESSION_KEY, ""))
        if user.isdecimal() and int(user) in users:
            listed.objects.get_or_create(
                session_id=session.pk, defaults={"user_id": int(user), "seen_at": now}
            )


class Migration(migrations.Migration):
    dependencies = [("access", "0004_accounts"), ("auth", "0012_alter_user_first_name_max_length")]

    operations = [migrations.RunPython(list_sessions, migrations.RunPython.noop)]
