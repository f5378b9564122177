"""The Kubernetes manifests fit the schemas, and agree with settings, metrics, paths and the image."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from fastapi.testclient import TestClient

from service.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
VERSIONS = ("1.29", "1.33", "1.37")  # the oldest that we name, one between, and the newest that is known
SPARE = 5  # seconds of a pod to end, beside those of the drain


def documents(text: str) -> dict[str, dict[str, Any]]:
    """Manifests by kind. There is one of each."""
    found = [one for one in yaml.safe_load_all(text) if one is not None]
    by_kind = {one["kind"]: one for one in found}
    assert len(by_kind) == len(found)
    return by_kind


def of_replicas() -> dict[str, dict[str, Any]]:
    """The manifests that the kustomization of the replicas lists."""
    listed = yaml.safe_load((FOLDER / "replicas" / "kustomization.yaml").read_text())["resources"]
    files = {file.name for file in (FOLDER / "replicas").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed) == files, "a file is not applied"
    return documents("\n---\n".join((FOLDER / "replicas" / name).read_text() for name in listed))


def rendered(name: str) -> dict[str, dict[str, Any]]:
    """What `kubectl apply --kustomize` sends."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed; it renders the kustomizations")
    command = [kubectl, "kustomize", str(FOLDER / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def container(manifests: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return dict(manifests["Deployment"]["spec"]["template"]["spec"]["containers"][0])


def variables(manifests: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Variables that are set in the manifest: their values; None where they come from elsewhere."""
    return {one["name"]: one.get("value") for one in container(manifests)["env"]}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_fits_the_schema_of_kubernetes(version: str) -> None:
    for manifest in of_replicas().values():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_a_misspelt_field_is_noticed() -> None:
    broken = of_replicas()["Deployment"]
    broken["spec"]["template"]["spec"]["terminationGracePeriod"] = 45
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[0], strict=True)


@pytest.mark.parametrize("name", ["replicas", "single"])
def test_what_is_rendered_fits_the_schema_of_kubernetes(name: str) -> None:
    for manifest in rendered(name).values():
        kubernetes_validate.validate(manifest, VERSIONS[1], strict=True)


def test_a_single_pod_has_a_volume_and_nothing_that_needs_several() -> None:
    found = rendered("single")
    spec = found["Deployment"]["spec"]
    assert {"PersistentVolumeClaim", "Service", "NetworkPolicy"} <= found.keys()
    assert not {"HorizontalPodAutoscaler", "PodDisruptionBudget"} & found.keys()
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    data = next(one for one in spec["template"]["spec"]["volumes"] if one["name"] == "data")
    claim = found["PersistentVolumeClaim"]["metadata"]["name"]
    assert data == {"name": "data", "persistentVolumeClaim": {"claimName": claim}}
    assert "SEGSORT_IMAGES_URL" not in variables(found)


def test_every_setting_that_is_named_exists_and_takes_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {f"SEGSORT_{name.upper()}" for name in Settings.model_fields}
    texts = [file.read_text() for file in (*FOLDER.rglob("*.yaml"), ROOT / "docs" / "kubernetes.md")]
    named = set(re.findall(r"SEGSORT_[A-Z_]*[A-Z]", "\n".join(texts)))
    assert len(named) > 8
    assert named <= known
    for name, value in variables(of_replicas()).items():
        if value is not None:
            monkeypatch.setenv(name, value)
    assert Settings().images_url == "s3://segsort-images/images"


def metric_names(manifests: dict[str, dict[str, Any]]) -> Iterator[str]:
    for metric in manifests["HorizontalPodAutoscaler"]["spec"]["metrics"]:
        if metric["type"] == "Pods":
            yield metric["pods"]["metric"]["name"]


@pytest.fixture
def answers(tiny_release: Path, tmp_path: Path) -> Iterator[Callable[[str], tuple[int, str]]]:
    """Asks the service, with the settings of the manifest that need nothing beside it."""
    from service.app import create_app

    with TestClient(create_app(Settings(data_dir=tmp_path, release=str(tiny_release), threads=1))) as client:
        yield lambda path: ((found := client.get(path)).status_code, found.text)


def test_metrics_and_paths_that_are_named_exist(answers: Callable[[str], tuple[int, str]]) -> None:
    manifests = of_replicas()
    metrics = answers(manifests["Deployment"]["spec"]["template"]["metadata"]["annotations"]["prometheus.io/path"])[1]
    names = list(metric_names(manifests))
    documented = set(re.findall(r"segsort_[a-z_]+", (ROOT / "docs" / "kubernetes.md").read_text()))
    assert names
    for name in {*names, *documented}:
        assert re.search(rf"^{name} [0-9]", metrics, re.MULTILINE), name
    own = container(manifests)
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert answers(own[probe]["httpGet"]["path"])[0] == 200


def test_ports_that_are_named_are_those_of_the_container() -> None:
    manifests = of_replicas()
    own = container(manifests)
    ports = {one["name"]: one["containerPort"] for one in own["ports"]}
    annotations = manifests["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    image = (ROOT / "Dockerfile").read_text()
    assert f'"--port", "{ports["http"]}"' in image
    assert str(ports["metrics"]) == annotations["prometheus.io/port"] == variables(manifests)["SEGSORT_METRICS_PORT"]
    assert manifests["Service"]["spec"]["ports"][0]["targetPort"] in ports
    named = [port["port"] for rule in manifests["NetworkPolicy"]["spec"]["ingress"] for port in rule["ports"]]
    assert set(named) <= ports.keys()
    assert {own[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")} == {"http"}


def test_selectors_find_the_pods() -> None:
    manifests = of_replicas()
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        manifests["Deployment"]["spec"]["selector"]["matchLabels"],
        manifests["Service"]["spec"]["selector"],
        manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        manifests["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)
    target = manifests["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert target["name"] == manifests["Deployment"]["metadata"]["name"]
    assert len({one["metadata"].get("namespace", "segsort") for one in manifests.values()}) == 1


def test_a_pod_gets_the_time_that_its_drain_takes() -> None:
    manifests = of_replicas()
    own = variables(manifests)
    drain = float(own["SEGSORT_DRAIN_DELAY_S"]) + float(own["SEGSORT_DRAIN_S"])
    spec = manifests["Deployment"]["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] >= drain + SPARE
    probe = container(manifests)["readinessProbe"]
    noticed = probe["periodSeconds"] * probe["failureThreshold"]
    assert float(own["SEGSORT_DRAIN_DELAY_S"]) >= noticed


def test_the_pod_runs_as_the_user_of_the_image_and_writes_its_volumes_only() -> None:
    spec = of_replicas()["Deployment"]["spec"]["template"]["spec"]
    image = (ROOT / "Dockerfile").read_text()
    assert f"--uid {spec['securityContext']['runAsUser']} " in image
    assert spec["securityContext"]["runAsNonRoot"]
    own = spec["containers"][0]
    assert own["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounts = {one["mountPath"] for one in own["volumeMounts"]}
    assert mounts == {"/data", "/tmp"}
    assert {one["name"] for one in own["volumeMounts"]} == {one["name"] for one in spec["volumes"]}
    assert "SEGSORT_DATA_DIR=/data" in image
