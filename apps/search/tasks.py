"""Celery tasks of the search."""

from audiosearch.celery import app


@app.task(name="search.sweep_clips")
def sweep_clips() -> None:
    """Delete clips that no search knows any more."""
    from apps.search.recent import sweep_clips as sweep

    sweep()
