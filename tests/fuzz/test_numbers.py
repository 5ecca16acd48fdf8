"""Numbers in addresses that no row can have: there is no such thing, and that is all."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from tests.fuzz.world import World, person

pytestmark = pytest.mark.django_db(transaction=True)
NUMBERS = (0, 2**31, 2**63 - 1, 2**63, 10**22, 10**400)
PAGES = (
    "/tracks/{}/", "/tracks/{}/similar/", "/tracks/{}/similar/?start_s=0.1", "/tracks/{}/delete/",
    "/voices/speakers/{}/", "/voices/speakers/{}/erase/", "/voices/tracks/{}/",
    "/voices/measurements/{}/", "/library/?collection={}", "/library/?page={}",
    "/library/states/?ids={}", "/admin/catalog/track/{}/change/", "/admin/catalog/tag/{}/change/",
    "/admin/catalog/track/?p={}", "/admin/catalog/track/?collection__id__exact={}",
    "/api/v1/tracks/?collection={}", "/api/v1/tracks/?page={}&page_size={}",
    "/api/v1/speakers/diarize/?track={}", "/api/v1/tracks/{}/similar?start_ms=100",
    "/api/v1/tracks/1/similar?collection={}&min_duration_ms={}",
    "/api/v1/tracks/1/similar?top_k={}",
)  # fmt: skip


@pytest.fixture
def administrator(tmp_path: Path, transactional_db: None) -> Client:
    World(tmp_path).refill()
    client = Client(raise_request_exception=False)
    client.force_login(person("administrator"))
    return client


def test_no_row_has_such_a_number(administrator: Client) -> None:
    schema: Any = SchemaGenerator().get_schema(request=None, public=True)
    numbered = {path for path in schema["paths"] if "{id}" in path}
    faults = []
    for number in NUMBERS:
        for path in numbered:
            address = path.replace("{id}", str(number)).replace("{enrolment_id}", str(number))
            for method in schema["paths"][path]:
                status = administrator.generic(method.upper(), address).status_code
                if status not in (400, 404, 415):
                    faults.append((status, method, address))
        for page in PAGES:
            address = page.format(number, number)
            status = administrator.get(address).status_code
            if status not in (200, 302, 400, 404):
                faults.append((status, "get", address))
    assert not faults, [(status, method, address[:80]) for status, method, address in faults]
