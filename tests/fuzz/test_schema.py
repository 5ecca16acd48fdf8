"""Whatever is asked of the API, by whomever: an answer that the schema tells of, and never a fault.

FUZZ_EXAMPLES says how many requests are generated for each operation and caller; where it is set,
as by `./test all`, so are those at the borders of what the schema allows. Hypothesis also draws
constants from all modules that are imported: to repeat a failure, collect the same folders
(`./test all -k …`).
"""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.pytest._test_builder import build_operation_test

from audiosearch.wsgi import application
from tests.audio_files import noise, tone, write_audio
from tests.fuzz.world import CALLERS, World, caller_named

pytestmark = pytest.mark.django_db(transaction=True)
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "6"))
BORDERS = ("administrator",) if "FUZZ_EXAMPLES" in os.environ else ()
"""They are many: for one caller who may do everything."""
OFTEN = ("administrator",)
RARELY = [pytest.param(name, marks=pytest.mark.exhaustive) for name in CALLERS if name not in OFTEN]
TOLD = [
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
BODY_KINDS = ("track", "collection", "speaker")

some = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def world(tmp_path: Path, transactional_db: None) -> World:
    there = World(tmp_path)
    there.refill()
    return there


@pytest.fixture
def schema(tmp_path: Path) -> Any:
    """The schema as it is served; a `file` of a form is mostly a sound."""
    sounds = [
        write_audio(tmp_path / "a.wav", tone(0.4, 500)),
        write_audio(tmp_path / "a.mp3", tone(0.4, 600)),
        write_audio(tmp_path / "silent.flac", tone(0.4, level=0.0)),
        write_audio(tmp_path / "short.wav", tone(0.05)),
        write_audio(tmp_path / "noise.ogg", noise(0.4)),
    ]
    contents = st.sampled_from([path.read_bytes() for path in sounds])
    schemathesis.openapi.format("binary", st.one_of(contents, contents, st.binary(max_size=64)))
    load_all_checks()
    return schemathesis.openapi.from_wsgi("/api/schema/?format=json", application)


@pytest.mark.parametrize("name", [*OFTEN, *RARELY])
def test_every_answer_is_one_that_the_schema_tells_of(
    name: str, world: World, schema: Any, subtests: pytest.Subtests
) -> None:
    caller = caller_named(name)
    answers: Counter[int] = Counter()
    schema.config.phases.coverage.enabled = name in BORDERS

    def ask(case: Any) -> None:
        if case.method == "DELETE":
            world.refill()
        lead_somewhere(case, world)
        response = case.call(headers=caller.headers, cookies=caller.cookies)
        answers[response.status_code] += 1
        check(case, response)

    for found in schema.get_all_operations():
        operation = found.ok()
        with subtests.test(operation.label):
            # By hand, as `schemathesis.pytest.from_fixture` does not know pytest 9.2 yet.
            build_operation_test(
                config=schema.config,
                operation=operation,
                test_func=ask,
                given_kwargs={},
                feedback=FeedbackSources(),
                explicit_settings=some,
            )()
    told = ", ".join(f"{status}: {count}" for status, count in sorted(answers.items()))
    print(f"{answers.total()} requests of {name}: {told}")  # shown when the test fails


def check(case: Any, response: Any) -> None:
    """The answer is one that the schema tells of; an error has the one shape."""
    case.validate_response(response, checks=CHECKS.get_by_names(TOLD))
    assert response.status_code < 500 or response.status_code == 503, response.text
    if response.status_code < 400 or "/ready/" in case.path:
        return
    if response.headers["content-type"][0].startswith("application/json"):
        told = response.json()
        assert set(told) == {"error"}
        assert set(told["error"]) == {"code", "message", "details"}
        assert told["error"]["message"]


def lead_somewhere(case: Any, world: World) -> None:
    """Let most of the numbers that stand for something be those of something that is there."""
    kind = case.path.split("/")[3].rstrip("s")
    for name in list(case.path_parameters or {}):
        _replace(case.path_parameters, name, "enrolment" if name == "enrolment_id" else kind, world)
    for place in (case.query, case.body):
        if isinstance(place, dict):
            for name in BODY_KINDS:
                _replace(place, name, name, world)


def _replace(place: dict[str, Any], name: str, kind: str, world: World) -> None:
    value = place.get(name)
    known = world.ids(kind) if isinstance(value, int | list) else []
    if isinstance(value, list):
        place[name] = [_known(one, known) for one in value]
    elif known:
        place[name] = _known(value, known)


def _known(value: Any, known: list[int]) -> Any:
    """Three times in four a number that is known."""
    if not known or not isinstance(value, int) or value % 4 == 0:
        return value
    return known[value % len(known)]
