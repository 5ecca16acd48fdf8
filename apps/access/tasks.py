"""Celery tasks of the accounts."""

from audiosearch.celery import app


@app.task(name="access.sweep")
def sweep() -> None:
    """Forget sessions that ended by themselves, and log-ins of long ago."""
    from apps.access.audit import forget_old_log_ins
    from apps.access.sessions import sweep_sessions

    sweep_sessions()
    forget_old_log_ins()
