"""Metrics: each value that /metrics gives is that of the service at this moment."""

import re

import pytest
from fastapi.testclient import TestClient
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from service.http.metrics import Metrics

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(client: TestClient) -> Samples:
    """All samples of GET /metrics, by name and labels."""
    families = text_string_to_metric_families(client.get("/metrics").raise_for_status().text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


@pytest.fixture
def metrics(client: TestClient) -> Metrics:
    return client.app.state.metrics  # type: ignore[attr-defined]


def test_an_edit_changes_the_gauges_of_the_index(client: TestClient) -> None:
    before = samples(client)
    exemplar = client.get("/exemplars").json()["exemplars"][0]["exemplar_id"]
    client.delete(f"/exemplars/{exemplar}").raise_for_status()
    after = samples(client)
    changes = {name: value(after, name) - value(before, name) for name in (
        "segsort_exemplars", "segsort_edits", "segsort_index_revision",
    )}  # fmt: skip
    assert changes == {"segsort_exemplars": -1, "segsort_edits": 1, "segsort_index_revision": 1}


def test_stages_are_recorded_in_seconds(client: TestClient, metrics: Metrics) -> None:
    metrics.answered({"embed": 20.0, "wait": 1500.0})
    metrics.answered({"embed": 30.0})
    found = samples(client)
    assert value(found, "segsort_stage_seconds_count", stage="embed") == 2
    assert value(found, "segsort_stage_seconds_sum", stage="embed") == pytest.approx(0.05)
    assert value(found, "segsort_stage_seconds_bucket", stage="embed", le="0.025") == 1
    assert value(found, "segsort_stage_seconds_sum", stage="wait") == pytest.approx(1.5)


def test_refusals_are_counted_by_reason(client: TestClient) -> None:
    refused = client.app.state.admission.refused  # type: ignore[attr-defined]
    refused["queue_full"] += 3
    refused["deadline"] += 1
    found = samples(client)
    assert value(found, "segsort_refusals_total", reason="queue_full") == 3
    assert value(found, "segsort_refusals_total", reason="deadline") == 1


def test_the_size_of_each_run_of_the_network_is_recorded(client: TestClient, photo: bytes) -> None:
    for _ in range(2):
        client.post("/segment", content=photo).raise_for_status()
    found = samples(client)
    assert value(found, "segsort_batch_images_count") == 2
    assert value(found, "segsort_batch_images_sum") == 2


def test_the_served_release_and_its_devices_are_labels(client: TestClient) -> None:
    labels = {"release": "tiny", "device": "CPUExecutionProvider", "precision": "float32"} | dict.fromkeys(
        ("network", "sorting", "search"), "cpu"
    )
    assert value(samples(client), "segsort_release_info", **labels) == 1


def test_every_metric_has_a_description_and_no_gpu_metric_is_shown_on_a_cpu(metrics: Metrics) -> None:
    text = generate_latest(metrics.registry).decode()
    described = set(re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE))
    assert described == set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert "segsort_device_memory_bytes" not in described


def test_the_metrics_have_the_lanes_and_the_bodies(client: TestClient) -> None:
    text = client.get("/metrics").text
    for line in ('segsort_lane_running{lane="quick"} 0.0', 'segsort_lane_waiting{lane="explore"} 0.0'):
        assert line in text
    assert 'segsort_body_bytes{place="memory"} 0.0' in text
