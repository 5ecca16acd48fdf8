"""Which recording of the catalogue is playing, and where in it, as one of several answers."""

from apps.analysis.answers import Answer, Answerer, AnswerHit, Question
from apps.analysis.index import get_landmark_index
from apps.analysis.models import SpaceKind, TrackAnalysis
from apps.analysis.spaces import active_name, active_space, progress_of
from apps.jobs.models import State
from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.errors import IndexUnavailable, SpaceMissing
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.matchers.recording.query import RecordingQuery
from audiosearch.engine.matchers.same_recording import RecordingAnswer, RecordingHit
from audiosearch.engine.matchers.same_recording import SameRecording as RecordingMatcher

MATCHER = RecordingMatcher()
NOTHING_YET = RecordingAnswer("none", "No recording has been analysed for this yet.", [])


class SameRecording(Answerer):
    """By landmarks; it uses no model, so a microphone may ask it while it records."""

    title = "Same recording"
    light = True

    def sample_rate(self) -> int:
        return SAMPLE_RATE

    def answer(self, asked: Question) -> Answer:
        samples = asked.sound.samples(SAMPLE_RATE)
        found = recognise(
            samples, top_k=asked.top_k, where=asked.where, as_recorded=asked.as_recorded
        )
        reason = found.reason
        if found.verdict == "none":
            progress = progress_of(active_space(SpaceKind.LANDMARKS), by=asked.by)
            if waiting := progress.queued + progress.listening:
                reason += f" {waiting} more are still being analysed."
        hits = [_answer_hit(hit, asked.sound.start_ms) for hit in found.hits]
        return Answer(found.verdict, reason, hits)


def recognise(
    samples: FloatArray, *, top_k: int, where: TrackFilter, as_recorded: bool = False
) -> RecordingAnswer:
    """Which of the tracks that `where` allows these samples, (n,) at SAMPLE_RATE, were taken from.

    as_recorded: no other speed or pitch is tried. Raises IndexUnavailable.
    """
    space = active_name(SpaceKind.LANDMARKS)
    query = RecordingQuery.from_samples(samples)
    try:
        found = MATCHER.match(
            query,
            get_landmark_index(),
            space,
            top_k=top_k,
            where=where,
            ladder=not as_recorded,
        )
    except SpaceMissing as error:
        if TrackAnalysis.objects.filter(space__name=space, state=State.READY).exists():
            raise IndexUnavailable(
                "The index of landmarks lost its content; it is being built anew."
            ) from error
        return NOTHING_YET
    return found


def _answer_hit(hit: RecordingHit, began_ms: int) -> AnswerHit:
    return AnswerHit(
        track_id=hit.item_id,
        probability=round(hit.probability, 4),
        start_ms=hit.start_ms,
        end_ms=hit.end_ms,
        query_start_ms=began_ms + hit.query_start_ms,
        query_end_ms=began_ms + hit.query_end_ms,
        speed=round(hit.speed, 4),
        evidence={
            "aligned": hit.aligned,
            "of": hit.of,
            "score": round(hit.score, 2),
            "pitch": round(hit.pitch, 4),
        },
    )
