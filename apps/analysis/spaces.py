"""Spaces: which analyzer version answers, and how a new one takes over in one step."""

import logging
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from apps.analysis.models import Space, SpaceKind, SpaceState, TrackAnalysis
from apps.catalog.models import Track
from apps.catalog.selectors import seen_by
from apps.jobs.models import PENDING, State
from apps.jobs.pieces import AT_ONCE
from apps.jobs.queue import ANALYSE, enqueue
from audiosearch.engine.analyzers.base import AnalyzerSpec
from audiosearch.engine.analyzers.registry import analyzer_class, analyzer_spec
from audiosearch.engine.errors import ModelUnavailable

log = logging.getLogger(__name__)
_CACHE_S = 60


@dataclass(frozen=True)
class Progress:
    """How far the tracks of a space have been analysed."""

    queued: int
    listening: int
    ready: int
    failed: int

    @property
    def total(self) -> int:
        return self.queued + self.listening + self.ready + self.failed

    @property
    def done(self) -> int:
        return self.ready + self.failed

    @property
    def percent(self) -> int:
        return 100 * self.done // self.total if self.total else 100


def active_name(kind: str = SpaceKind.EMBEDDING) -> str:
    """Name of the active space of a kind; from the cache when it is shared (Redis)."""
    if not settings.REDIS_URL:
        return active_space(kind).name
    try:
        name = cache.get(_cache_key(kind))
        if name is None:
            name = active_space(kind).name
            cache.set(_cache_key(kind), name, _CACHE_S)
    except redis.RedisError:
        return active_space(kind).name
    return str(name)


def active_space(kind: str = SpaceKind.EMBEDDING) -> Space:
    """The active space of a kind; before there is one, that which will be made (not saved)."""
    found = Space.objects.filter(kind=kind, state=SpaceState.ACTIVE).first()
    if found:
        return found
    spec = _first_choice(kind)
    dimension = getattr(spec, "dimension", 0)
    return Space(name=spec.space, kind=kind, analyzer=spec.name, dimension=dimension)


def ensure_spaces() -> None:
    """Make the active space of every kind that has none; VOICE_ENCODER says which voices use.

    Where the analyzer of an active space has another version by now, or the settings name another
    one, its new space is begun. A kind whose analyzer is not known here waits, and holds up no
    other.
    """
    in_use = list(Space.objects.exclude(state=SpaceState.RETIRED))
    active = {space.kind: space for space in in_use if space.is_active}
    building = {space.kind: space for space in in_use if not space.is_active}
    for kind in (*settings.ANALYSES, SpaceKind.SPEAKER):
        try:
            _ensure_space(kind, active.get(kind), building.get(kind))
        except ModelUnavailable as error:
            log.warning("the space of kind %s waits: %s", kind, error)


def _ensure_space(kind: str, active: Space | None, building: Space | None) -> None:
    """Raises ModelUnavailable."""
    if active is None or kind == SpaceKind.SPEAKER:
        spec = _first_choice(kind)
        if active is None or active.name != spec.space:
            _make_active(spec)
        return
    if kind == SpaceKind.EMBEDDING:  # `models use` says what answers, and what is built
        spec = analyzer_spec(active.analyzer)
        if spec.space != active.name and not Space.objects.filter(name=spec.space).exists():
            _build_beside(spec)
        return
    spec = _first_choice(kind)
    if spec.space == active.name and building:
        Space.objects.filter(pk=building.pk).update(state=SpaceState.RETIRED)
    elif spec.space not in (active.name, building and building.name):
        _build_beside(spec)


@transaction.atomic
def _make_active(spec: AnalyzerSpec) -> None:
    space = _space_of(spec)
    _activate(space)
    if space.kind in settings.ANALYSES:
        _queue_missing(space)


def _first_choice(kind: str) -> AnalyzerSpec:
    if kind == SpaceKind.SPEAKER:
        return analyzer_spec(settings.VOICE_ENCODER)
    ready = [name for name in settings.ANALYSES[kind] if analyzer_state(name) == "ready"]
    return analyzer_spec(ready[0])


def _space_of(spec: AnalyzerSpec) -> Space:
    space, _ = Space.objects.get_or_create(
        name=spec.space,
        defaults={
            "kind": spec.kind,
            "analyzer": spec.name,
            "dimension": getattr(spec, "dimension", 0),
        },
    )
    return space


def analyzer_state(name: str) -> str:
    """ "ready", "needs export" or "missing"."""
    return analyzer_class(name).state(settings.MODELS_DIR)


def spaces_to_fill() -> list[Space]:
    """The spaces every new track is analysed for: the active ones and those being built."""
    filled = Space.objects.filter(kind__in=settings.ANALYSES).exclude(state=SpaceState.RETIRED)
    return list(filled.order_by("state", "created_at"))  # "active" comes before "building"


def use_analyzer(name: str) -> Space:
    """Begin to build an encoder's space beside the active one; it takes over when complete.

    Raises ModelUnavailable, with the command to run, when the encoder is not ready.
    """
    spec = analyzer_spec(name)
    if spec.kind != SpaceKind.EMBEDDING:
        raise ModelUnavailable(
            f"{spec.title} makes no embeddings of sounds; it cannot answer searches."
        )
    if analyzer_state(name) != "ready":
        raise ModelUnavailable(f"The encoder {name} is not ready; run: ./manage models pull {name}")
    ensure_spaces()
    space = _build_beside(spec)
    switch_when_complete()
    space.refresh_from_db()
    return space


@transaction.atomic
def _build_beside(spec: AnalyzerSpec) -> Space:
    """Begin to build a space, unless it is active; another one of its kind that is being built
    is given up."""
    space = _space_of(spec)
    if not space.is_active:
        building = Space.objects.filter(kind=spec.kind, state=SpaceState.BUILDING)
        building.exclude(pk=space.pk).update(state=SpaceState.RETIRED)
        space.state = SpaceState.BUILDING
        space.save(update_fields=["state"])
        _queue_missing(space)
        transaction.on_commit(lambda: enqueue(ANALYSE))
    return space


def _queue_missing(space: Space) -> None:
    """An analysis for every track that has none in this space."""
    missing = Track.objects.exclude(analyses__space=space).values_list("pk", flat=True)
    TrackAnalysis.objects.bulk_create(
        [TrackAnalysis(track_id=pk, space=space) for pk in missing],
        batch_size=AT_ONCE,
        ignore_conflicts=True,
    )


def switch_when_complete() -> None:
    """Make a space that is complete, and as the index knows it, the active one of its kind."""
    for space in Space.objects.filter(kind__in=settings.ANALYSES, state=SpaceState.BUILDING):
        with transaction.atomic():
            _queue_missing(space)
            unfinished = Q(state__in=PENDING) | Q(state=State.READY, index_stale=True)
            if not space.analyses.filter(unfinished).exists():
                _activate(space)


def _activate(space: Space) -> None:
    others = Space.objects.filter(kind=space.kind).exclude(pk=space.pk)
    if space.kind != SpaceKind.SPEAKER:  # of these none is built beside another
        others = others.filter(state=SpaceState.ACTIVE)
    others.update(state=SpaceState.RETIRED)
    space.state = SpaceState.ACTIVE
    space.activated_at = timezone.now()
    space.save(update_fields=["state", "activated_at"])
    transaction.on_commit(lambda: _forget_active(space.kind))


def _forget_active(kind: str) -> None:
    try:
        cache.delete(_cache_key(kind))
    except redis.RedisError:
        return  # the entry ends by itself within a minute


def _cache_key(kind: str) -> str:
    return f"active-space:{kind}"


def progress_of(space: Space, *, by: Any = None) -> Progress:
    """The number of tracks of a space in each state, as far as `by` sees them; one query."""
    rows = TrackAnalysis.objects.filter(seen_by(by, "track__"), Q(space__name=space.name))
    counts = dict(rows.order_by().values_list("state").annotate(Count("id")))
    return Progress(**{state: counts.get(state, 0) for state in State.values})
