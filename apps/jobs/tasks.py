"""What the jobs add to a Celery worker."""

from typing import Any

from celery import bootsteps

from audiosearch.celery import app


class Presence(bootsteps.StartStopStep):
    """The worker says that it lives; begun after the pool, whose processes are forked off it."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:
        from apps.jobs.workers import begin_beating

        self.done = begin_beating()

    def stop(self, parent: Any) -> None:
        self.done.set()


app.steps["worker"].add(Presence)
