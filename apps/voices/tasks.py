"""Celery tasks of the voices."""

from audiosearch.celery import app


@app.task(name="voices.mend")
def mend() -> None:
    """Let the index know what it does not know yet of the enrolments, and forget strays."""
    from apps.voices.voice_index import drop_strays, sync_soon
    from audiosearch.engine.errors import IndexUnavailable

    sync_soon()
    try:
        drop_strays()
    except IndexUnavailable:
        return
