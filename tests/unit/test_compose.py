"""The compose files name settings, services and volumes that exist."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.urls import resolve

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
    assert set(scale["services"]) <= set(there)


def test_what_is_written_goes_to_a_volume(base: Any) -> None:
    for service in base["services"].values():
        for mount in service.get("volumes", []):
            kept = mount.partition(":")[0] in base["volumes"]
            assert kept or mount.endswith(":ro"), mount
    for name in ("web", "worker", "beat", "setup"):
        assert base["services"][name]["read_only"]
        assert base["services"][name]["tmpfs"] == ["/tmp"]  # noqa: S108


def test_strangers_reach_the_proxy_alone(base: Any, scale: Any) -> None:
    told = [*base["services"].items(), *scale["services"].items()]
    assert {name for name, service in told if "ports" in service} == {"proxy"}
    assert all(port.startswith("127.0.0.1:") for port in base["services"]["proxy"]["ports"])


def proxy_conf(base: Any, **changed: str) -> str:
    """The configuration as the image of nginx makes it from the template."""
    service = base["services"]["proxy"]
    (source,) = [mount.split(":")[0] for mount in service["volumes"] if ".template" in mount]
    environment = {
        name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", told)
        for name, told in service["environment"].items()
    }
    text = (ROOT / source).read_text()
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(environment)
    for name, value in (environment | changed).items():
        text = text.replace(f"${{{name}}}", value)
    return text


def test_the_proxy_and_the_service_agree(base: Any) -> None:
    conf = proxy_conf(base)
    app, proxy = base["x-app"]["environment"], base["services"]["proxy"]
    assert app["PROXIES"].startswith("${PROXIES:-1}")
    for name in ("MAX_FILE_MB", "URL_PREFIX"):
        assert app[name] == proxy["environment"][name]
    (most,) = re.findall(r'env.integer\("MAX_FILE_MB", (\d+)', SETTINGS)
    assert set(re.findall(r"client_max_body_size (\S+);", conf)) == {f"{most}m"}
    (port,) = re.findall(r"\bPORT=(\d+)", (ROOT / "Dockerfile").read_text())
    assert f"set $web web:{port};" in conf
    (listens,) = re.findall(r"listen (\d+);", conf)
    assert proxy["ports"] == [f"127.0.0.1:8000:{listens}"]
    resolve("/api/v1/tags/")
    assert "http://$web/api/v1/tags/" in conf
    assert "http://$web/sounds/api/v1/tags/" in proxy_conf(base, URL_PREFIX="/sounds")


@pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
def test_the_proxys_configuration_is_what_nginx_reads(base: Any, tmp_path: Path) -> None:
    conf = tmp_path / "nginx.conf"
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = [f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds]
    paths.append(f"access_log {tmp_path}/access;")
    served = "\n".join([*paths, proxy_conf(base).replace("listen 80", "listen 127.0.0.1:8080")])
    conf.write_text(f"pid {tmp_path}/pid; events {{}} http {{\n{served}\n}}")
    command = ["nginx", "-t", "-c", str(conf), "-p", str(tmp_path), "-e", str(tmp_path / "log")]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


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
