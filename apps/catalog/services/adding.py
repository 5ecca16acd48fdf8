"""Adding a recording: everything is checked first, then it is there whole or not at all."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.utils.crypto import get_random_string

from apps.catalog import lifecycle
from apps.catalog.models import TEXT_FIELDS, Collection, Kind, Track
from apps.catalog.names import is_litter, shown_name
from apps.catalog.quotas import in_turn, refuse_without_room
from apps.catalog.selectors import visible_tracks
from apps.catalog.services.collections import audience_of
from apps.catalog.services.editing import let_searches_find
from apps.catalog.services.tags import clean_tags, tags_named
from apps.catalog.services.words import write_words
from apps.catalog.words import nfc, sort_key
from audiosearch.engine.audio.choice import with_stream
from audiosearch.engine.audio.formats import AudioInfo, suffix_of
from audiosearch.engine.audio.sandbox import inspect
from audiosearch.engine.digests import sha256_of
from audiosearch.engine.errors import AudioError, Conflict, TooLarge, UnsupportedAudio

FOLDER = "tracks"
"""Where in the storage the recordings are."""


@dataclass(frozen=True)
class Added:
    """A track, and whether this call created it."""

    track: Track
    created: bool


def add_track(
    *,
    source: Path,
    name: str,
    added_by: Any = None,
    fields: Mapping[str, str] | None = None,
    kind: str = "",
    collection: Collection | None = None,
    tags: Iterable[str] = (),
    stream: str = "",
    for_enrolment: bool = False,
    wake: bool = True,
) -> Added:
    """Add the audio file at `source`, known to its owner as `name`.

    `fields` (title, artist, album, description) are what a person wrote and win over the file's
    own tags; `wake` a worker at once. `stream` is the sound track to be heard of a file of several:
    its number from 0, or its language. Searches leave out what is brought `for_enrolment`, until it
    is brought for itself. Bytes already in the catalogue, as far as `added_by` sees it (None sees
    all), give the existing track, else unchanged.
    Raises an AudioError saying what is wrong, Busy, OverQuota, or Conflict, also when the existing
    track is heard by another sound track; then nothing was added.
    """
    if is_litter(shown_name(name)):
        raise UnsupportedAudio(
            f"{shown_name(name)}: Hidden files and what file managers leave behind are not added; "
            "rename it if it is a recording."
        )
    size = source.stat().st_size
    if size > settings.MAX_FILE_BYTES:
        limit = settings.MAX_FILE_BYTES // 2**20
        raise TooLarge(
            f"{shown_name(name)}: The file has {size / 2**20:.1f} MB; the limit is {limit} MB."
        )
    digest = sha256_of(source)
    existing = visible_tracks(added_by).filter(sha256=digest).first()
    if existing and not stream:
        return _brought_again(existing, for_enrolment)
    if not existing:
        refuse_without_room(added_by, size)  # before it is decoded, and again when it is written
    info = _inspected(with_stream(source, stream), name)
    if existing:
        _refuse_another_stream(existing, info.stream)
        return _brought_again(existing, for_enrolment)
    track = _new_track(digest, size, name, info, dict(fields or {}), kind)
    track.collection, track.for_enrolment = collection, for_enrolment
    track.added_by = added_by if added_by and added_by.is_authenticated else None
    stored = _store(source, digest, suffix_of(info.format))
    return _keep(track, stored, clean_tags(tags), wake, added_by)


def _inspected(source: Path, name: str) -> AudioInfo:
    try:
        return inspect(
            source,
            max_duration_ms=settings.MAX_DURATION_S * 1000,
            budget=settings.DECODE_BUDGET,
        )
    except AudioError as error:
        raise type(error)(f"{shown_name(name)}: {error}") from error


def _refuse_another_stream(track: Track, stream: int | None) -> None:
    if stream != track.stream:
        heard = "the default one" if track.stream is None else f"number {track.stream}"
        raise Conflict(
            f"This file is in the catalogue already, as track {track.pk}, and {heard} of its sound "
            "tracks is heard there. A file is kept once: delete that track first to choose another."
        )


def _keep(track: Track, stored: str, tags: list[str], wake: bool, by: Any) -> Added:
    """Write the rows; the stored file goes again unless they are there."""
    added = None
    try:
        added = _write(track, stored, tags, wake, by)
    except IntegrityError:
        there = visible_tracks(by).filter(sha256=track.sha256, audience=track.audience)
        existing = there.first()
        if existing is None:
            raise
        # somebody added the same bytes a moment earlier
        added = _brought_again(existing, track.for_enrolment)
    finally:
        if added is None or not added.created:
            default_storage.delete(stored)
    return added


def _brought_again(track: Track, for_enrolment: bool) -> Added:
    if track.for_enrolment and not for_enrolment:
        let_searches_find([track.pk])
        track.for_enrolment = False
    return Added(track, created=False)


@transaction.atomic
def _write(track: Track, stored: str, tags: list[str], wake: bool, by: Any) -> Added:
    in_turn(by)
    refuse_without_room(by, track.size_bytes)
    track.file.name = stored
    track.audience = audience_of(track.collection, by=by)
    track.save(force_insert=True)
    write_words([track])
    if tags:
        track.tags.set(tags_named(tags))
    lifecycle.tracks_added([track.pk], wake=wake)
    return Added(track, created=True)


def _new_track(
    digest: str, size: int, name: str, info: AudioInfo, fields: dict[str, str], kind: str
) -> Track:
    original_name = shown_name(name)
    written = {key: fields[key].strip() for key in TEXT_FIELDS if fields.get(key, "").strip()}
    own = {key: info.tags.get(key, "") for key in ("title", "artist", "album")}
    own["title"] = own["title"] or _title_from(original_name)
    texts = {**own, **written}
    track = Track(
        sha256=digest,
        original_name=original_name,
        kind=kind or (Kind.MUSIC if own["artist"] or own["album"] else Kind.SOUND),
        edited_fields=sorted([*written, *(["kind"] if kind else [])]),
        duration_ms=info.duration_ms,
        sample_rate=info.sample_rate,
        channels=info.channels,
        format=info.format,
        size_bytes=size,
        stream=info.stream,
        description=nfc(texts.pop("description", "")),
    )
    for key, value in texts.items():
        setattr(track, key, nfc(value.replace("\x00", ""))[:300])
    track.sort_key = sort_key(track.title)
    return track


def _title_from(original_name: str) -> str:
    words = re.sub(r"[_\s]+", " ", Path(original_name).stem).strip()
    return words[:300] or original_name


def _store(source: Path, digest: str, suffix: str) -> str:
    """Copy the file into the storage under a name of our own; the user's never gets there."""
    target = f"{FOLDER}/{digest[:2]}/{digest[:32]}-{get_random_string(8).lower()}{suffix}"
    try:
        with source.open("rb") as file:
            stored = default_storage.save(target, File(file))
        with default_storage.open(stored) as kept:
            os.fsync(kept.fileno())  # the database will say that it is there, power cut or not
        return stored
    except OSError:
        default_storage.delete(target)  # as far as there was room for it
        raise
