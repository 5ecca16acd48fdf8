"""The compose files name settings, services and volumes that exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SETTINGS = (ROOT / "audiosearch" / "settings.py").read_text()


class Loader(yaml.SafeLoader):
    """Knows the tags with which one compose file overrules another."""


for tag in ("!reset", "!override"):
    Loader.add_constructor(
        tag,
        lambda loader, node: (
            loader.construct_mapping(node, deep=True)
            if isinstance(node, yaml.MappingNode)
            else loader.construct_sequence(node)
        ),
    )


def load(name: str) -> Any:
    return yaml.load((ROOT / name).read_text(), Loader)  # noqa: S506 - a safe loader


@pytest.fixture
def base() -> Any:
    return load("docker-compose.yml")


@pytest.fixture
def scale() -> Any:
    return load("docker-compose.scale.yml")


@pytest.mark.parametrize("name", ["docker-compose.yml", "docker-compose.scale.yml"])
def test_the_application_is_told_what_it_knows(name: str) -> None:
    for service in ("setup", "web", "worker", "beat"):
        for variable in load(name)["services"][service]["environment"]:
            assert f'"{variable}"' in SETTINGS, variable


def test_services_wait_for_services_that_are_there(base: Any, scale: Any) -> None:
    there = base["services"]
    for service in there.values():
        waits = service.get("depends_on", [])
        assert set(waits) <= set(there)
        for other, how in waits.items() if isinstance(waits, dict) else ():
            assert how["condition"] != "service_healthy" or "healthcheck" in there[other]
    standalone = {name for name, told in scale["services"].items() if "profiles" in told}
    for name in ("web", "worker", "beat"):
        assert standalone.isdisjoint(scale["services"][name]["depends_on"])
    assert set(scale["services"]) - {"proxy"} <= set(there)


def test_what_is_written_goes_to_a_volume(base: Any) -> None:
    for service in base["services"].values():
        for mount in service.get("volumes", []):
            assert mount.partition(":")[0] in base["volumes"]
    for name in ("web", "worker", "beat", "setup"):
        assert base["services"][name]["read_only"]
        assert base["services"][name]["tmpfs"] == ["/tmp"]  # noqa: S108


def test_secrets_stay_out_of_the_image() -> None:
    for name in (".dockerignore", ".gitignore"):
        assert ".env*" in (ROOT / name).read_text().splitlines()


def test_the_image_has_what_is_installed_and_no_root() -> None:
    image = (ROOT / "Dockerfile").read_text()
    for name in re.findall(r"requirements\S*\.txt", image):
        assert (ROOT / name).exists()
    assert image.index("USER audiosearch") < image.index("CMD")
