"""Waveforms were a by-product of embedding: those that are there count as analysed, and what could
not be analysed is not tried again."""

from typing import Any

from django.db import migrations
from django.utils import timezone

AT_ONCE = 1_000


def add_waveforms(apps: Any, schema_editor: Any) -> None:
    space_model = apps.get_model("analysis", "Space")
    if not space_model.objects.exists():
        return  # nothing was ever analysed; the first start makes the spaces
    now = timezone.now()
    space, _ = space_model.objects.get_or_create(
        name="waveform-v1",
        defaults={"kind": "waveform", "analyzer": "waveform", "state": "active", "activated_at": now},
    )
    tracks = apps.get_model("catalog", "Track").objects
    analysis = apps.get_model("analysis", "TrackAnalysis")
    drawn = set(tracks.exclude(peaks=b"").values_list("pk", flat=True))
    failed = dict(analysis.objects.filter(state="failed").values_list("track_id", "reason"))

    def row(pk: int) -> Any:
        if pk in drawn:
            return analysis(track_id=pk, space=space, state="ready", finished_at=now)
        if pk in failed:  # it would fail for the same reason
            ended = {"state": "failed", "reason": failed[pk], "finished_at": now}
            return analysis(track_id=pk, space=space, **ended)
        return analysis(track_id=pk, space=space)

    rows = [row(pk) for pk in tracks.order_by("pk").values_list("pk", flat=True)]
    analysis.objects.bulk_create(rows, batch_size=AT_ONCE, ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [("analysis", "0002_kinds_and_leases")]
    operations = [migrations.RunPython(add_waveforms, migrations.RunPython.noop)]
