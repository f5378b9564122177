"""Requests drawn from the service's own OpenAPI document: such as fit it, and such as do not.

`FUZZ_CASES=10000` draws so many; without it there are as many as every run of the tests has the time for. `pytest -s`
says how many requests were sent: some operations have fewer that differ.
"""

from typing import Any

import pytest
import requests
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode

from tests.robustness import images
from tests.robustness.conftest import CASES
from tests.robustness.outcomes import assert_well, fault_of

IMAGES = [*images.rare().values(), *images.truncated().values()]


@pytest.fixture
def known(client: TestClient, photo: bytes) -> dict[str, Any]:
    """What the parameters of paths may be so that there is something to find."""
    answer = client.post("/segment", content=photo).raise_for_status().json()
    segment = answer["segments"][0]
    client.post(f"/segments/{segment['segment_id']}/label", json={"class_name": "kerb"}).raise_for_status()
    return {
        "segmentation_id": answer["segmentation_id"],
        "segment_id": segment["segment_id"],
        "exemplar_id": segment["exemplars"][0]["exemplar_id"],
        "revision": 1,
        "name": answer["release"],
    }


@pytest.mark.timeout(max(600, CASES))
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_that_is_drawn_makes_the_service_fail(
    mode: GenerationMode, client: TestClient, known: dict[str, Any], photo: bytes
) -> None:
    assert isinstance(client.app, FastAPI)
    told = client.app.openapi()["paths"]
    operations = [found.ok() for found in schemathesis.openapi.from_dict(client.app.openapi()).get_all_operations()]
    each = max(1, CASES // (2 * len(operations)))
    sent = sum(
        _draw(client, operation, mode, known, each)
        for operation in operations
        if mode.is_positive or _may_misfit(told[operation.path][operation.method.lower()])
    )
    print(f"{sent} requests, {mode.value}")
    assert_well(client, photo)


def _may_misfit(told: dict[str, Any]) -> bool:
    """Whether a request can contradict what an operation says of itself: any text fits where a text is asked for."""
    return "requestBody" in told or any(p["schema"].get("type") != "string" for p in told.get("parameters", ()))


def _draw(client: TestClient, operation: APIOperation, mode: GenerationMode, known: dict[str, Any], count: int) -> int:
    """Send requests to one operation; how many were sent."""
    cases, sent = operation.as_strategy(generation_mode=mode), 0

    @settings(
        max_examples=count, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def each(data: st.DataObject) -> None:
        nonlocal sent
        case = data.draw(cases)
        for name in sorted(known.keys() & (case.path_parameters or {}).keys()):
            if data.draw(st.booleans()):
                case.path_parameters[name] = known[name]
        if data.draw(st.booleans()):
            _depict(case, data.draw(st.sampled_from(IMAGES)))
        sent += 1
        fault = fault_of(_send(client, case))
        assert fault is None, f"{case.as_curl_command()}: {fault}"

    each()
    return sent


def _depict(case: Case, image: bytes) -> None:
    """Put an image where one is meant to be."""
    if isinstance(case.body, bytes):
        case.body = image
    elif isinstance(case.body, dict) and "image" in case.body and case.media_type == "multipart/form-data":
        case.body["image"] = image


def _send(client: TestClient, case: Case) -> Response:
    told = case.as_transport_kwargs(base_url="http://testserver")
    ready = requests.Request(**told).prepare()
    return client.request(str(ready.method), str(ready.url), headers=dict(ready.headers), content=ready.body)
