"""The id map: from the track ids that the index returns to what a result shows.

Redis holds it when there is one, so that the hot path of a search asks the database nothing; the
database is the truth, answers when Redis is not there, and refills what is cold, wrong or gone.
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from functools import lru_cache

import redis
from django.conf import settings

from apps.catalog.models import Track

log = logging.getLogger(__name__)
LIFETIME_S = 24 * 3600
UNSURE_S = 10
"""For so long after a change nobody keeps what was read, as it may have been read before."""


@dataclass(frozen=True)
class TrackCard:
    """What a result shows of a track; `path` is the file's name in the storage, and `stream` the
    number of the sound track that is heard of it."""

    id: int
    title: str
    artist: str
    album: str
    kind: str
    collection: str
    tags: list[str]
    auto_tags: list[str]
    duration_ms: int
    format: str
    path: str
    stream: int | None


_FIELDS = {field.name for field in fields(TrackCard)}


def cards_of(track_ids: Iterable[int]) -> dict[int, TrackCard]:
    """The cards of those tracks that exist and are not retired, by id."""
    wanted = list(dict.fromkeys(track_ids))
    if not wanted:
        return {}
    if not settings.REDIS_URL:
        return _from_database(wanted)
    try:
        kept = _client().mget([_key(track_id) for track_id in wanted])
    except redis.RedisError as error:
        log.warning("id map: Redis does not answer (%s); asking the database", error)
        return _from_database(wanted)
    cards = {}
    for track_id, value in zip(wanted, kept, strict=True):
        card = _parse(track_id, value)
        if card:
            cards[track_id] = card
    missing = [track_id for track_id in wanted if track_id not in cards]
    broken = {track_id for track_id, value in zip(wanted, kept, strict=True) if value}
    return cards | _refill(missing, broken) if missing else cards


def forget(track_ids: Iterable[int]) -> None:
    """Drop tracks from the map: they changed or are gone."""
    keys = [_key(track_id) for track_id in track_ids]
    if not (settings.REDIS_URL and keys):
        return
    try:
        with _client().pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.set(key, "", ex=UNSURE_S)
            pipe.execute()
    except redis.RedisError as error:
        log.warning("id map: could not forget %d tracks (%s)", len(keys), error)


def _refill(track_ids: list[int], broken: set[int]) -> dict[int, TrackCard]:
    cards = _from_database(track_ids)
    _keep(cards, broken)
    return cards


def _keep(cards: dict[int, TrackCard], broken: set[int]) -> None:
    """Keep what was read, unless somebody has told of a change since; replace what is `broken`."""
    try:
        with _client().pipeline(transaction=False) as pipe:
            for track_id, card in cards.items():
                value, absent = json.dumps(asdict(card)), track_id not in broken
                pipe.set(_key(track_id), value, ex=LIFETIME_S, nx=absent)
            pipe.execute()
    except redis.RedisError as error:
        log.warning("id map: could not refill (%s)", error)


def _parse(track_id: int, value: bytes | str | None) -> TrackCard | None:
    """The card in a Redis value; None when it is cold or not what it should be."""
    if value is None:
        return None
    try:
        data = json.loads(value)
    except ValueError:
        return None
    if not isinstance(data, dict) or set(data) != _FIELDS or data["id"] != track_id:
        return None
    return TrackCard(**data)


def _from_database(track_ids: list[int]) -> dict[int, TrackCard]:
    tracks = Track.objects.filter(retired_at=None)
    tracks = tracks.select_related("collection").prefetch_related("tags")
    possible = [track_id for track_id in track_ids if track_id < 2**63]
    return {track.pk: _card(track) for track in tracks.filter(pk__in=possible)}


def _card(track: Track) -> TrackCard:
    return TrackCard(
        id=track.pk,
        title=track.title,
        artist=track.artist,
        album=track.album,
        kind=track.kind,
        collection=track.collection.name if track.collection else "",
        tags=[tag.name for tag in track.tags.all()],
        auto_tags=[tag["name"] for tag in track.auto_tags[:3]],
        duration_ms=track.duration_ms,
        format=track.format,
        path=track.file.name or "",
        stream=track.stream,
    )


def _key(track_id: int) -> str:
    return f"{settings.MILVUS_PREFIX}:track:{track_id}"


@lru_cache(maxsize=1)
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
