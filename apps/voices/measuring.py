"""How well the enrolled speakers are told apart: asked for on the page, measured by a worker."""

import io
import time
from typing import Any

from django.db import transaction

from apps.catalog.recordings import sound_of
from apps.jobs.leases import ALL, heartbeat, settle, work_off
from apps.jobs.models import PENDING, State
from apps.jobs.queue import VOICES, enqueue
from apps.voices.consent import consent_lasts_in
from apps.voices.embedding import voice_encoder, voice_space
from apps.voices.evaluation import evaluate_speakers, let_decide
from apps.voices.labels import Labelled
from apps.voices.models import Enrolment, Measurement, OperatingPoint
from apps.voices.thresholds import pack_cohort
from audiosearch.engine.errors import ExtraMissing
from audiosearch.engine.scoring.verification import Trials

FAR_TARGET = 0.001
MOST = 1_000
"""Recordings that are measured; of more, every second, third …"""


def request_measurement(*, by: Any) -> Measurement:
    """Let a worker measure on what is enrolled; one at a time."""
    with transaction.atomic():
        pending = Measurement.objects.filter(state__in=PENDING).first()
        if pending:
            return pending
        row = Measurement.objects.create(space=voice_space(), asked_by=by)
        transaction.on_commit(lambda: enqueue(VOICES))
        return row


def measure_queued(most: int = ALL) -> int:
    """Measure what waits for it; returns how many."""
    return work_off(Measurement, _measure, most)


def _measure(row: Measurement) -> None:
    if row.space != voice_space():
        raise ValueError(f"VOICE_ENCODER is another one now; it was asked for {row.space}.")
    rows = Enrolment.objects.filter(consent_lasts_in("speaker__"), space__name=row.space)
    rows = rows.order_by("pk")
    enrolled = rows.values_list("track__file", "track__stream", "speaker_id")
    enrolled = enrolled[:: max(len(enrolled) // MOST, 1)]
    recordings = [(sound_of(name, stream), str(who)) for name, stream, who in enrolled]
    if not recordings:
        raise ValueError("Nobody is enrolled yet.")
    found = evaluate_speakers(
        Labelled([(path, who) for path, who in recordings if path.exists()]),
        encoder=voice_encoder(),
        far_target=FAR_TARGET,
        progress=_Beats(row),
    )
    report = found.as_json()
    report["unheard"] = len(found.unheard)
    try:
        plots = _draw(found.trials)
    except ExtraMissing as missing:
        plots, report["no_plots"] = {}, str(missing)
    trials = {"genuine": len(found.trials.genuine), "impostor": len(found.trials.impostor)}
    cohort = b"" if found.cohort is None else pack_cohort(found.cohort)
    settle(row, State.READY, report=report | trials, plots=plots, cohort=cohort, progress="")


def _draw(trials: Trials) -> dict[str, str]:
    """SVG by name. Raises ExtraMissing."""
    from apps.voices.plots import figures

    plots = {}
    for name, figure in figures(trials):
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg")
        plots[name] = drawn.getvalue()
    return plots


class _Beats:
    """Tells the job how far it is, once a second."""

    def __init__(self, row: Measurement) -> None:
        self.row, self.told_at = row, 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        if time.monotonic() - self.told_at > 1:
            heartbeat([self.row], progress=f"{what}: {done + 1} of {total}")
            self.told_at = time.monotonic()


def apply_measurement(row: Measurement) -> OperatingPoint:
    """Let what was measured decide from now on; what decided before is kept in the list."""
    told = row.report
    return let_decide(
        space=row.space,
        report=told,
        # Every member reads this, so it does not say how many: some may be private.
        source=f"enrolled recordings, {row.queued_at:%Y-%m-%d}",
        genuine=told["genuine"],
        impostor=told["impostor"],
        cohort=bytes(row.cohort),
    )
