"""Celery tasks of the search."""

from audiosearch.celery import app


@app.task(name="search.sweep_clips")
def sweep_clips() -> None:
    """Delete clips that no search knows any more, and uploads that were cut off."""
    from apps.catalog.services.deleting import sweep_uploads
    from apps.search.recent import sweep_clips as sweep

    sweep()
    sweep_uploads()
