"""A small catalogue with something of everything, so that generated numbers lead somewhere."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from django.contrib.auth import get_user_model
from django.test import Client

from apps.access.models import Scope
from apps.access.tokens import issue_token
from apps.analysis.models import Space
from apps.analysis.worker import work
from apps.catalog.models import Collection, Track
from apps.catalog.services.adding import add_track
from apps.jobs.models import State
from apps.voices.embedding import voice_space
from apps.voices.models import Diarization, Enrolment, Speaker
from tests.audio_files import tone, write_audio

LEAST = 4
SECONDS = 0.5


@dataclass
class World:
    """Everything by kind; `refill` makes up for what was deleted."""

    folder: Path
    made: int = 0

    def refill(self) -> None:
        """At least LEAST tracks, collections and speakers, one of them enrolled and diarized."""
        while Collection.objects.count() < LEAST:
            Collection.objects.create(name=f"Collection {self._number()}")
        if Track.objects.count() < LEAST:
            self._add_tracks(LEAST)
        while Speaker.objects.count() < LEAST or not Enrolment.objects.exists():
            self._add_speaker()
        if not Diarization.objects.exists():
            track = Track.objects.latest("pk")
            Diarization.objects.create(track=track, state=State.READY, turns=[[0, 400, 0]])

    def ids(self, kind: str) -> list[int]:
        """The numbers there are of a kind of thing, in order."""
        models = {
            "track": Track,
            "collection": Collection,
            "speaker": Speaker,
            "enrolment": Enrolment,
        }
        return list(models[kind].objects.order_by("pk").values_list("pk", flat=True))

    def sound(self) -> Path:
        """A new file with a tone that no other has."""
        number = self._number()
        return write_audio(self.folder / f"{number}.wav", tone(SECONDS, 300 + number))

    def _add_tracks(self, count: int) -> None:
        for number in range(count):
            add_track(
                source=self.sound(),
                name="tone.wav",
                kind="music" if number % 2 else "",
                tags=["tone", f"tag {number}"],
                collection=Collection.objects.first() if number % 2 else None,
            )
        work()

    def _add_speaker(self) -> None:
        number = self._number()
        added = add_track(source=self.sound(), name=f"voice {number}.wav", kind="speech")
        work()
        today = date(2026, 1, 1)
        speaker = Speaker.objects.create(
            name=f"Speaker {number}", groups=["crew"], consent_by="They", consent_on=today
        )
        Track.objects.filter(pk=added.track.pk).update(speaker=speaker)
        voice = np.random.default_rng(number).standard_normal(256).astype("<f4")
        Enrolment.objects.create(
            speaker=speaker,
            track=added.track,
            space=Space.objects.get(name=voice_space()),
            embedding=(voice / np.linalg.norm(voice)).tobytes(),
            net_ms=5000,
            snr_db=30.0,
        )

    def _number(self) -> int:
        self.made += 1
        return self.made


@dataclass(frozen=True)
class Caller:
    """Who calls: what their program sends with every request."""

    headers: dict[str, str]
    cookies: dict[str, str]


ROLES: dict[str, dict[str, Any]] = {
    "member": {},
    "curator": {"is_staff": True},
    "administrator": {"is_staff": True, "is_superuser": True},
}
CALLERS = ("anonymous", *ROLES, *(f"token for {scope}" for scope in Scope.values))


def caller_named(name: str) -> Caller:
    """Nobody, somebody logged in, or a program with a token of one scope of a curator's."""
    if name == "anonymous":
        return Caller({}, {})
    if name in ROLES:
        client = Client()
        client.force_login(person(name))
        csrf = "c" * 32
        session = client.cookies["sessionid"].value
        return Caller({"X-CSRFToken": csrf}, {"sessionid": session, "csrftoken": csrf})
    scope = name.rpartition(" ")[2]
    secret = issue_token(user=person("curator"), name=name, scopes=[scope])
    return Caller({"Authorization": f"Token {secret}"}, {})


def person(role: str) -> Any:
    """The user of this role, made when there is none."""
    people = get_user_model().objects
    return people.filter(username=role).first() or people.create_user(role, **ROLES[role])
