"""What an installation is asked before and after an upgrade, and how its answers differ."""

import hashlib
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.upgrades.people import Person

SHOWN = 300
LISTS = (
    *("tracks/?page_size=200", "tracks/?q=bell", "tracks/?tag=low", "tracks/?kind=speech"),
    *("tracks/?state=failed", "tracks/?ordering=title&page_size=2", "collections/", "tags/"),
    "speakers/",
)
SIMILAR = ("top_k=100", "tags=low", "kind=music&top_k=1", "start_ms=500&end_ms=1500&top_k=100")
SEARCHES: tuple[dict[str, Any], ...] = (
    {"top_k": 100},
    {"top_k": 1, "kind": "music"},
    {"top_k": 100, "end_ms": 1000},
)
GROUP = "crew"
PAGES = ("/", "/library/", "/add/", "/voices/", "/voices/thresholds/", "/admin/")
NEVER_THE_SAME = {"took_ms", "next", "previous"}
"""How long it took, and addresses with the port of the day."""
MENDED_SINCE_0_1_0 = {"threshold", "speaker", "name", "reason"}
"""Of an identification: 0.1.0 took the threshold for all who are enrolled, in a group, too."""
FOR_CURATORS_SINCE_0_2_0 = {
    *("speaker", "external_id", "groups", "notes"),
    *("consent_by", "consent_on", "consent_until"),
}
"""Of speakers, whom 0.1.0 told everybody of; a consent that ended is for curators, too."""
FOLLOWS_THE_WORK = {"progress", "explanation"}
"""They count what is ready, and the upgraded service goes on with what was queued."""


def ask_everything(people: dict[str, Person], made: dict[str, Any], clips: Path) -> dict[str, Any]:
    """All answers, by who asks and what; `made` says what there is to be asked about."""
    return {
        f"{name}: {question}": answer
        for name, person in people.items()
        for question, answer in _asked_by(person, made, clips)
    }


def _asked_by(person: Person, made: dict[str, Any], clips: Path) -> Iterator[tuple[str, Any]]:
    for path in LISTS:
        yield path, person.ask("GET", f"/api/v1/{path}")
    spaces = person.ask("GET", "/api/v1/spaces/")[1]["results"]  # a release may add some
    yield "spaces/", [space for space in spaces if space["name"] in made["spaces"]]
    for track in made["tracks"]:
        for path in (f"tracks/{track}/", f"tracks/{track}/peaks", f"speakers/diarize/?{track=}"):
            yield path, person.ask("GET", f"/api/v1/{path}")
        for asked in SIMILAR:
            path = f"tracks/{track}/similar?{asked}"
            yield path, person.ask("GET", f"/api/v1/{path}")
        status, audio = person.fetch(f"/api/v1/tracks/{track}/audio")
        yield f"tracks/{track}/audio", [status, hashlib.sha256(audio).hexdigest()]
    for clip in sorted(clips.glob("sound-*")):
        for asked in SEARCHES:
            yield f"search {clip.name} {asked}", person.ask("POST", "/api/v1/search/", asked, clip)
    yield from _asked_about_voices(person, made, clips)
    for search in made["searches"]:
        status, page = person.see(f"/searches/{search}/")
        yield f"searches/{search}", [status, _hits(page)]
    for page in (*PAGES, *made["pages"]):
        yield page, person.see(page)[0]


def _asked_about_voices(
    person: Person, made: dict[str, Any], clips: Path
) -> Iterator[tuple[str, Any]]:
    speakers = "/api/v1/speakers/"
    for speaker in made["speakers"]:
        for path in (f"{speaker}/", f"{speaker}/enrolments/"):
            yield f"speakers/{path}", person.ask("GET", speakers + path)
    for clip in sorted(clips.glob("voice-*")):
        for group in ("", GROUP):
            asked = {"group": group, "top_k": 10}
            answer = person.ask("POST", f"{speakers}identify/", asked, clip)
            yield f"identify {clip.name} {group}", answer
        for speaker in made["speakers"]:
            answer = person.ask("POST", f"{speakers}verify/", {"speaker": speaker}, clip)
            yield f"verify {clip.name} {speaker}", answer


def _hits(page: str) -> list[list[str]]:
    """The tracks that a page of hits names, in order, and how near each is."""
    tracks = list(dict.fromkeys(re.findall(r'href="[^"]*/tracks/(\d+)/"', page)))
    return [tracks, re.findall(r"(\d+) %</strong>", page)]


def differences(before: Any, after: Any, where: str = "") -> Iterator[str]:
    """What is no longer as it was, each with its place; fields may have come to an object.

    Numbers may differ as little as another processor makes them.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        passed_over = NEVER_THE_SAME | FOLLOWS_THE_WORK
        if "candidates" in before:
            passed_over |= MENDED_SINCE_0_1_0
            if after["threshold"] > before["threshold"]:
                yield f"{where}: the threshold rose to {after['threshold']}"
            elif before["speaker"] not in (None, after["speaker"]):
                yield f"{where}: {before['name']} is not known any more"
            elif before["speaker"] is None is not after["speaker"] and "stranger" in where:
                yield f"{where}: a stranger is taken for {after['name']}"
        for key in before.keys() - passed_over:
            if key == "spaces":  # of a track: there may be more kinds by now
                known = {row["space"] for row in before[key]}
                newer = [row for row in after[key] if row["space"] in known]
                yield from differences(before[key], newer, f"{where} {key}")
            elif _is_withheld(key, before, after, where):
                continue
            elif key in after:
                yield from differences(before[key], after[key], f"{where} {key}")
            else:
                yield f"{where}: {key} is gone"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{where}[{number}]")
    elif not _same(before, after):
        yield f"{where}: {repr(before)[:SHOWN]} is now {repr(after)[:SHOWN]}"


def _is_withheld(key: str, before: Any, after: Any, where: str) -> bool:
    """Whether somebody who is no curator is told no more what they need not know."""
    if f"{where} {key}".startswith(" curator"):
        return False
    if ": identify " in key and key.endswith(f" {GROUP}"):  # groups are for curators by now
        return bool(after[key][0] == 400)
    if key == "error":
        return (before[key]["code"], after[key]["code"]) == ("no_consent", "not_enrolled")
    return key in FOR_CURATORS_SINCE_0_2_0 and key in after and not after[key]


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, float) and isinstance(after, float):
        return math.isclose(before, after, rel_tol=2e-3, abs_tol=2e-3)
    return bool(before == after)


def without(answer: Any, tracks: set[int]) -> Any:
    """The same without these tracks, wherever one is listed."""
    if isinstance(answer, dict):
        return {key: without(value, tracks) for key, value in answer.items()}
    if not isinstance(answer, list | tuple):
        return answer
    return [without(one, tracks) for one in answer if not _is_one_of(one, tracks)]


def _is_one_of(listed: Any, tracks: set[int]) -> bool:
    if not isinstance(listed, dict):
        return False
    if "sha256" in listed:
        return listed["id"] in tracks
    found = listed.get("track")
    return isinstance(found, dict) and found["id"] in tracks
