"""Spaces: which encoder answers searches, and how a new one takes over in one step."""

from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from apps.analysis.tasks import nudge
from apps.catalog.models import Listening, Space, SpaceState, State, Track
from apps.catalog.selectors import seen_by
from audiosearch.engine.analyzers.base import EncoderSpec
from audiosearch.engine.analyzers.registry import analyzer_class, encoder_spec
from audiosearch.engine.errors import ModelUnavailable

_CACHE_KEY = "default-space"
_CACHE_S = 60


@dataclass(frozen=True)
class Progress:
    """How far the tracks of a space have been listened to."""

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


def default_space() -> str:
    """Name of the space that answers searches; from the cache when it is shared (Redis)."""
    if not settings.REDIS_URL:
        return current_space().name
    try:
        name = cache.get(_CACHE_KEY)
        if name is None:
            name = current_space().name
            cache.set(_CACHE_KEY, name, _CACHE_S)
    except redis.RedisError:
        return current_space().name
    return str(name)


def current_space() -> Space:
    """The default space, from the database; the first call on an empty database creates it."""
    space = Space.objects.filter(is_default=True).first()
    return space or _first_space()


@transaction.atomic
def _first_space() -> Space:
    ready = [name for name in settings.PREFERRED_ENCODERS if encoder_state(name) == "ready"]
    spec = encoder_spec(ready[0])
    space, _ = Space.objects.get_or_create(
        name=spec.space, defaults={"encoder": spec.name, "dimension": spec.dimension}
    )
    _activate(space)
    _queue_missing(space)
    return space


def encoder_state(name: str) -> str:
    """ "ready", "needs export" or "missing"."""
    return analyzer_class(name).state(settings.MODELS_DIR)


def spec_of(space: Space) -> EncoderSpec:
    """The declared face of the encoder that fills a space."""
    return encoder_spec(space.encoder)


def spaces_to_fill() -> list[Space]:
    """The spaces every new track is listened to for: the default one and those being built."""
    current_space()
    wanted = Q(is_default=True) | Q(state=SpaceState.BUILDING)
    return list(Space.objects.filter(wanted).order_by("-is_default", "created_at"))


def use_encoder(name: str) -> Space:
    """Begin to build the space of an encoder beside the default one; it takes over when complete.

    Raises ModelUnavailable, with the command to run, when the encoder is not ready.
    """
    if encoder_spec(name).kind != "embedding":
        raise ModelUnavailable(f"The encoder {name} hears voices only; it cannot search sounds.")
    if encoder_state(name) != "ready":
        raise ModelUnavailable(
            f"The encoder {name} is not ready; run: manage.py models pull {name}"
        )
    current_space()
    spec = encoder_spec(name)
    with transaction.atomic():
        space, _ = Space.objects.get_or_create(
            name=spec.space, defaults={"encoder": spec.name, "dimension": spec.dimension}
        )
        if not space.is_default:
            Space.objects.filter(state=SpaceState.BUILDING).exclude(pk=space.pk).update(
                state=SpaceState.RETIRED
            )
            space.state = SpaceState.BUILDING
            space.save(update_fields=["state"])
            _queue_missing(space)
            transaction.on_commit(nudge)
    switch_when_complete()
    return space


def _queue_missing(space: Space) -> None:
    """A work row for every track that has none in this space."""
    missing = Track.objects.exclude(listenings__space=space).values_list("pk", flat=True)
    Listening.objects.bulk_create(
        [Listening(track_id=pk, space=space) for pk in missing],
        batch_size=500,
        ignore_conflicts=True,
    )


def switch_when_complete() -> Space | None:
    """Make a space whose building is complete the default; returns it, or None if none was."""
    for space in Space.objects.filter(state=SpaceState.BUILDING):
        with transaction.atomic():
            _queue_missing(space)
            pending = space.listenings.filter(state__in=(State.QUEUED, State.LISTENING))
            if pending.exists():
                continue
            _activate(space)
        return space
    return None


def _activate(space: Space) -> None:
    Space.objects.filter(is_default=True).exclude(pk=space.pk).update(
        is_default=False, state=SpaceState.RETIRED
    )
    space.is_default = True
    space.state = SpaceState.ACTIVE
    space.activated_at = timezone.now()
    space.save(update_fields=["is_default", "state", "activated_at"])
    transaction.on_commit(_forget_default)


def _forget_default() -> None:
    try:
        cache.delete(_CACHE_KEY)
    except redis.RedisError:
        return  # the entry ends by itself within a minute


def progress_of(space: Space, *, by: Any = None) -> Progress:
    """The number of tracks of a space in each state, as far as `by` sees them; one query."""
    counts = {
        row["state"]: row["n"]
        for row in space.listenings.filter(seen_by(by, "track__"))
        .order_by()
        .values("state")
        .annotate(n=Count("id"))
    }
    return Progress(**{state: counts.get(state, 0) for state in State.values})
