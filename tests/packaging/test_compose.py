"""docker compose starts the CPU service by default and the GPU service by profile; both listen on this machine only."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).parent.parent.parent
FILE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_without_a_profile_the_cpu_alone_is_served() -> None:
    assert [name for name, service in SERVICES.items() if "profiles" not in service] == ["segsort"]
    assert "deploy" not in SERVICES["segsort"]
    assert "SEGSORT_DEVICE" not in SERVICES["segsort"]["environment"]
    assert Settings.model_fields["device"].default == "cpu"


def test_the_profile_gpu_builds_that_flavour_and_reserves_a_device() -> None:
    (service,) = [service for service in SERVICES.values() if service.get("profiles") == ["gpu"]]
    assert service["build"]["args"] == {"FLAVOUR": "gpu"}
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert service["environment"]["SEGSORT_DEVICE"] == "cuda"
    assert service["image"] != SERVICES["segsort"]["image"]


def test_the_two_do_not_want_the_same_port() -> None:
    assert SERVICES["segsort"]["ports"] != SERVICES["segsort-gpu"]["ports"]


@pytest.mark.parametrize("name", SERVICES)
def test_each_is_published_on_this_machine_alone_and_may_write_only_its_data(name: str) -> None:
    service = SERVICES[name]
    assert all(port.startswith("${BIND:-127.0.0.1}:") for port in service["ports"])
    assert service["read_only"] is True
    assert service["volumes"] == ["data:/data"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["environment"].keys() >= {"SEGSORT_API_KEYS"}


def test_each_can_be_built_through_the_hosts_network() -> None:
    override = yaml.safe_load((ROOT / "docker-compose.build-host.yml").read_text())["services"]
    assert {name: service["build"]["network"] for name, service in override.items()} == dict.fromkeys(SERVICES, "host")


def test_the_image_runs_as_a_user_of_its_own() -> None:
    assert "\nUSER segsort\n" in DOCKERFILE
    assert "--uid 10001" in DOCKERFILE


def test_the_image_of_a_flavour_asks_for_its_device() -> None:
    """Without SEGSORT_DEVICE, an image built for GPUs would silently serve on the CPU."""
    assert "\nFROM base-${FLAVOUR}\n" in DOCKERFILE
    for flavour, device in (("cpu", "cpu"), ("gpu", "cuda")):
        assert f" AS base-{flavour}\nENV SEGSORT_DEVICE={device}\n" in DOCKERFILE
