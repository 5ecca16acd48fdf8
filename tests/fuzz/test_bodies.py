"""Bodies that are not what their type says, or more of it than anybody means: refused, not a fault.

FUZZ_EXAMPLES says how many of them.
"""

import os
from pathlib import Path

import pytest
from django.test import Client
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fuzz.texts import any_text
from tests.fuzz.world import World, person

pytestmark = pytest.mark.django_db(transaction=True)
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
JSON = "application/json"
FORM = "multipart/form-data; boundary=x"
TYPES = (
    JSON, FORM, "application/x-www-form-urlencoded", "application/json; charset=utf-16",
    "application/json; charset=nonsense", "multipart/form-data", "multipart/form-data; boundary=",
    f"multipart/form-data; boundary={'b' * 300}", "multipart/mixed; boundary=x", "text/plain", "",
    "/", "application/json;;=", "audio/wav", "\x00", "application/x-www-form-urlencoded; charset=x",
)  # fmt: skip
ADDRESSES = (
    "search/", "tracks/", "collections/", "speakers/", "speakers/verify/", "speakers/identify/",
    "speakers/diarize/",
)  # fmt: skip
PARTS = (
    b"--x", b"--x--", b"\r\n", b"\r\n\r\n", b"\n", b"Content-Disposition: form-data",
    b'; name="file"', b'; name="tags"', b'; filename="a.wav"', b'; filename=""',
    b"; filename*=utf-8''%00", b'; filename="../../a"', b"Content-Transfer-Encoding: base64",
    b"Content-Type: audio/wav", b"RIFF", b"\x00", b"\xff",
)  # fmt: skip
SCALARS = ("[]", "{}", "null", "-0", "1e999", "NaN", '"\\ud800"', '"\\u0000"', "9" * 5000)

pieces = st.one_of(st.sampled_from(PARTS), st.binary(max_size=20))
forms = st.lists(pieces, max_size=30).map(b"".join).map(lambda body: b"--x\r\n" + body)
values = st.recursive(
    st.one_of(st.sampled_from(SCALARS), any_text().map(ascii)),
    lambda inner: st.lists(inner, max_size=4).map(lambda parts: f"[{','.join(parts)}]"),
    max_leaves=10,
)
names = st.sampled_from(["track", "file", "tags", "kind", "collection", "name", "groups", "top_k"])
objects = st.dictionaries(names, values, max_size=4).map(
    lambda found: "{" + ",".join(f'"{name}": {value}' for name, value in found.items()) + "}"
)
bodies = st.one_of(st.binary(max_size=200), forms, objects.map(str.encode), values.map(str.encode))


@pytest.fixture
def administrator(tmp_path: Path, transactional_db: None) -> Client:
    World(tmp_path).refill()
    client = Client(raise_request_exception=False)
    client.force_login(person("administrator"))
    return client


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(address=st.sampled_from(ADDRESSES), kind=st.sampled_from(TYPES), body=bodies)
@example(address="search/", kind=JSON, body=b"[" * 2000)
@example(address="search/", kind=JSON, body=b'{"a":' * 2000)
@example(address="search/", kind=JSON, body=b"x" * 3_000_000)
@example(address="tracks/", kind=FORM, body=b"--x\r\n" * 2000)
@example(address="search/", kind=FORM, body=b"--x\r\nContent-Disposition: form-data" * 2000)
@example(address="tracks/", kind="application/x-www-form-urlencoded", body=b"a=1&" * 5000)
def test_any_body_is_refused_or_taken(
    administrator: Client, address: str, kind: str, body: bytes
) -> None:
    answer = administrator.generic("POST", f"/api/v1/{address}", body, content_type=kind)
    assert answer.status_code < 500, answer.content
    if answer.status_code >= 400:
        assert set(answer.json()) == {"error"}
