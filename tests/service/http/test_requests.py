"""The middleware around each request: its id, its timing, its metrics and its log line."""

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.http.keys import new_key
from service.logs import JsonFormatter, TextFormatter, request_id


def test_an_answer_carries_the_id_that_the_caller_gave(client: TestClient) -> None:
    response = client.get("/nothing", headers={"x-request-id": "order-17.b"})
    assert response.headers["x-request-id"] == "order-17.b"
    assert response.json()["request_id"] == "order-17.b"


@pytest.mark.parametrize("unsafe", ["", "a b", "x" * 65, "a\tb", '"', "ä".encode("latin-1")])
def test_an_unsafe_id_is_replaced(client: TestClient, unsafe: str | bytes) -> None:
    ids = {client.get("/classes", headers={"x-request-id": unsafe}).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)


def test_server_timing_gives_the_time_of_each_stage(client: TestClient, photo: bytes) -> None:
    response = client.post("/segment", content=photo)
    timed = dict(re.findall(r"(\w+);dur=([\d.]+)", response.headers["server-timing"]))
    assert list(timed) == ["decode", "embed", "sort", "retrieve", "record", "encode", "wait", "total"]
    assert float(timed["embed"]) == pytest.approx(response.json()["timings_ms"]["embed"], abs=0.01)
    assert float(timed["total"]) >= float(timed["embed"]) + float(timed["sort"])
    assert "total" in client.get("/classes").headers["server-timing"]


def test_each_request_is_logged_as_one_line_except_probes(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="segsort.requests")
    client.get("/segmentations/ab%0Acd")
    client.get("/livez")
    line = next(r for r in caplog.records if r.name == "segsort.requests")
    assert line.status == 404  # type: ignore[attr-defined]
    assert "\n" not in line.getMessage()
    assert not any("livez" in r.getMessage() for r in caplog.records if r.name == "segsort.requests")


def test_a_json_log_line_has_all_fields(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("segsort.test")
    token = request_id.set("abc")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        logger.exception("it %s", "failed", extra={"status": 500})
    found = json.loads(JsonFormatter().format(caplog.records[-1]))
    text = TextFormatter().format(caplog.records[-1])
    request_id.reset(token)
    assert (found["message"], found["level"], found["request_id"], found["status"]) == (
        "it failed",
        "error",
        "abc",
        500,
    )
    assert "ZeroDivisionError" in found["exception"]
    assert text.startswith("segsort: error: it failed")
    assert "Traceback" in text


def test_requests_and_stages_are_counted(start: Callable[..., TestClient], photo: bytes) -> None:
    with start(queue_pixels=0) as client:
        client.post("/segment", content=photo)
        client.post("/segment", content=b"")
        client.get("/exemplars/nothing")
        client.post("/classes", json={"name": "kerb"})
        found = client.get("/metrics").text
    for line in (
        'segsort_requests_total{method="POST",route="/segment",status="200"} 1.0',
        'segsort_requests_total{method="POST",route="/segment",status="400"} 1.0',
        'segsort_requests_total{method="GET",route="/exemplars/{exemplar_id}",status="404"} 1.0',
        'segsort_stage_seconds_count{stage="embed"} 1.0',
        "segsort_index_revision 1.0",
        "segsort_edits 1.0",
        "segsort_queue_images 0.0",
        "segsort_queue_pixels 0.0",
        "segsort_requests_in_flight 1.0",
        'segsort_release_info{device="CPUExecutionProvider",network="cpu",precision="float32",release="tiny",'
        'search="cpu",sorting="cpu"} 1.0',
        'segsort_batch_images_bucket{le="1.0"} 1.0',
        "segsort_batch_images_count 1.0",
    ):
        assert line in found
    assert "process_resident_memory_bytes" in found


def test_readiness_gives_the_requested_device_and_the_one_in_use(client: TestClient) -> None:
    found = client.get("/readyz").json()
    assert (found["device"], found["runs_on"]) == ("cpu", "CPUExecutionProvider")
    assert found["network_bits"] == 32
    assert [found["steps_run_on"][step] for step in ("network", "sorting", "search")] == ["cpu"] * 3


def test_readiness_and_metrics_name_the_numbers_of_the_network(
    start: Callable[..., TestClient], quantised_release: Path
) -> None:
    for precision, bits in (("int8", 8), ("float32", 32)):
        with start(release=str(quantised_release), precision=precision) as client:
            assert client.get("/readyz").json()["network_bits"] == bits
            assert f'precision="{precision}"' in client.get("/metrics").text
            card = client.get("/releases/tiny").json()
            assert card["quantised"]["measured"]["blocks/val"]["images"] == 3


def test_a_log_line_names_the_caller_and_the_address(
    start: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="segsort.requests")
    secret, key = new_key("anna", "reader")
    with start(api_keys=key.line, trusted_proxies="10.0.0.0/8") as client:
        client = TestClient(client.app, client=("10.0.0.9", 1234))
        forwarded = {"X-Forwarded-For": "6.6.6.6, 192.0.2.7, 10.0.0.4"}
        client.get("/classes", headers={"X-API-Key": secret, **forwarded})
        client.get("/classes", headers={"X-API-Key": "wrong"})
        client.get(f"/nothing/{secret}", headers={"X-API-Key": secret})
        client.get("/livez", headers=forwarded)
    lines = [record for record in caplog.records if record.name == "segsort.requests"]
    found = [json.loads(JsonFormatter().format(line)) for line in lines]
    assert [(one["status"], one["caller"], one["address"]) for one in found] == [
        (200, "anna", "192.0.2.7"),
        (401, None, "10.0.0.9"),
        (404, "anna", "10.0.0.9"),
    ]
    assert lines[0].getMessage().endswith(" ms anna 192.0.2.7")
    assert lines[1].getMessage().endswith(" ms - 10.0.0.9")
    assert secret not in caplog.text
    assert "/nothing/segsort_..." in lines[2].getMessage()
