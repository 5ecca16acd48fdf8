"""Kept searches keep all answers; those there are were answered by sounds_alike alone."""

from typing import Any

from django.db import migrations, models


def answers_there_are(apps: Any, schema_editor: Any) -> None:
    for kept in apps.get_model("search", "Search").objects.iterator(chunk_size=100):
        if "hits" not in kept.result:
            continue
        hits = [
            {
                "track": {"id": hit["track"]["id"]},
                "probability": None,
                "start_ms": hit["start_ms"],
                "end_ms": hit["end_ms"],
                "query_start_ms": None,
                "query_end_ms": None,
                "speed": None,
                "evidence": {"distance": hit["distance"], "similarity": hit["similarity"]},
            }
            for hit in kept.result["hits"]
        ]
        answer = {"verdict": "maybe" if hits else "none", "reason": "", "hits": hits}
        took_ms = kept.result.get("took_ms", {}).get("total", 0.0)
        kept.answers = {"sounds_alike": {**answer, "took_ms": took_ms}}
        kept.save(update_fields=["answers"])


class Migration(migrations.Migration):
    dependencies = [("search", "0002_results_by_id")]
    operations = [
        migrations.AddField("search", "answers", models.JSONField(default=dict)),
        migrations.RunPython(answers_there_are, migrations.RunPython.noop),
    ]
