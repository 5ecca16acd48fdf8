"""Voice events move to the one audit log."""

from itertools import islice
from typing import Any

from django.db import migrations

def move_events(apps: Any, schema_editor: Any) -> None:
    line = apps.get_model("access", "AuditEvent")
    events = apps.get_model("voices", "VoiceEvent").objects.order_by("pk")
    moved = (
        line(
            at=event.at,
            action=event.action,
            user_number=event.user_id,
            username=event.username,
            speaker_number=event.speaker_number,
            detail=event.detail,
        )
        for event in events.iterator()
    )
    while some := list(islice(moved, 1000)):
        line.objects.bulk_create(some)


class Migration(migrations.Migration):
    dependencies = [("voices", "0008_open_speakers"), ("access", "0004_accounts")]

    operations = [
        migrations.RunPython(move_events, migrations.RunPython.noop),
        migrations.DeleteModel(name="VoiceEvent"),
    ]
