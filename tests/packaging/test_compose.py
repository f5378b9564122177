"""docker compose starts the CPU service by default and the GPU service by profile; both listen on this machine only."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from segsort_label_studio import command
from service.settings import Settings

ROOT = Path(__file__).parent.parent.parent
FILE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
BACKEND = "label-studio-backend"  # an integration, not the service
OTHERS = ("db", "proxy")  # images of other projects
OURS = [name for name in SERVICES if name not in OTHERS]
VOLUMES = {BACKEND: BACKEND, "segsort-postgres": "postgres-data"}  # of the data folder
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


@pytest.mark.parametrize("name", OURS)
def test_each_is_published_on_this_machine_alone_and_may_write_only_its_data(name: str) -> None:
    service = SERVICES[name]
    assert all(port.startswith("${BIND:-127.0.0.1}:") for port in service["ports"])
    assert service["read_only"] is True
    assert service["volumes"] == [f"{VOLUMES.get(name, 'data')}:/data"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["environment"].keys() >= {"SEGSORT_API_KEYS" if name != BACKEND else "SEGSORT_KEY"}


def test_each_can_be_built_through_the_hosts_network() -> None:
    override = yaml.safe_load((ROOT / "docker-compose.build-host.yml").read_text())["services"]
    assert {name: service["build"]["network"] for name, service in override.items()} == dict.fromkeys(OURS, "host")


def test_the_profile_postgres_has_no_password_of_its_own_and_publishes_nginx_alone() -> None:
    database, served, proxy = SERVICES["db"], SERVICES["segsort-postgres"], SERVICES["proxy"]
    assert {name for name in SERVICES if SERVICES[name].get("profiles") == ["postgres"]} == {
        *OTHERS,
        "segsort-postgres",
    }
    assert database["environment"]["POSTGRES_PASSWORD"] == "${SEGSORT_DATABASE_PASSWORD:-}"
    assert served["environment"]["PGPASSWORD"] == database["environment"]["POSTGRES_PASSWORD"]
    assert served["environment"]["SEGSORT_DATABASE_URL"] == "postgresql+psycopg://segsort@db/segsort"
    assert "ports" not in database
    assert served["ports"] == []
    assert [port.startswith("${BIND:-127.0.0.1}:") for port in proxy["ports"]] == [True]
    assert "db:/var/lib/postgresql/data" in database["volumes"]
    assert served["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert "pg_isready" in database["healthcheck"]["test"][1]


def test_services_over_different_databases_have_different_data_folders() -> None:
    """Each removes files of jobs and copies of releases that its own database does not know."""
    databases = {name: SERVICES[name]["environment"].get("SEGSORT_DATABASE_URL") for name in OURS if name != BACKEND}
    folders = {name: SERVICES[name]["volumes"][0] for name in databases}
    assert len(set(databases.values())) == 2
    assert len({(databases[name], folders[name]) for name in databases}) == len(set(folders.values())) == 2
    assert set(FILE["volumes"]) == {*(folder.partition(":")[0] for folder in folders.values()), "db", BACKEND}


def test_nginx_of_the_profile_reads_the_configuration_of_the_documentation() -> None:
    (mounted,) = SERVICES["proxy"]["volumes"]
    file, _, place = mounted.partition(":")
    assert place == "/etc/nginx/nginx.conf:ro"
    text = (ROOT / file).read_text()
    assert "set $replicas segsort-postgres;" in text
    assert SERVICES["proxy"]["ports"][0].endswith(":8080")
    assert "listen 8080;" in text


def test_the_backend_of_label_studio_has_a_profile_and_an_image_of_its_own() -> None:
    service = SERVICES[BACKEND]
    assert service["profiles"] == ["label-studio"]
    text = (ROOT / service["build"]["dockerfile"]).read_text()
    assert "\nUSER backend\n" in text
    assert "torch" not in text
    helped = command.parser().format_help()
    assert [name for name in service["environment"] if name not in helped] == []


def test_the_image_runs_as_a_user_of_its_own() -> None:
    assert "\nUSER segsort\n" in DOCKERFILE
    assert "--uid 10001" in DOCKERFILE


def test_the_image_of_a_flavour_asks_for_its_device() -> None:
    """Without SEGSORT_DEVICE, an image built for GPUs would silently serve on the CPU."""
    assert "\nFROM base-${FLAVOUR}\n" in DOCKERFILE
    for flavour, device in (("cpu", "cpu"), ("slim", "cpu"), ("gpu", "cuda")):
        assert f" AS base-{flavour}\nENV SEGSORT_DEVICE={device}\n" in DOCKERFILE
