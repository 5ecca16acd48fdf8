"""The compose files name settings, services and volumes that exist."""

import json
import re
import subprocess
import sys
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
        assert list(ROOT.glob(name.replace("$extra", "*")))
    (user,) = re.findall(r"useradd --uid (\d+)", image)
    assert image.index(f"USER {user}\n") < image.index("CMD")


@pytest.mark.parametrize("name", ["docker-compose.yml", "docker-compose.scale.yml"])
def test_the_compose_files_are_what_compose_reads(name: str, tmp_path: Path) -> None:
    def checked(told: Any) -> subprocess.CompletedProcess[str]:
        plain = tmp_path / "compose.json"
        plain.write_text(json.dumps(told))
        command = [sys.executable, "-m", "check_jsonschema", "--no-cache"]
        command += ["--builtin-schema", "vendor.compose-spec", str(plain)]
        return subprocess.run(command, capture_output=True, text=True)

    told = load(name)
    assert checked(told).returncode == 0, checked(told).stdout
    told["services"]["web"]["enviroment"] = {}
    assert "enviroment" in checked(told).stdout
