"""Requests generated from the OpenAPI document, valid and invalid; each answer must conform to the document.

The variable FUZZ_CASES sets the number of requests, for example `FUZZ_CASES=10000`. `pytest -s` prints how many were
sent: some operations have fewer distinct requests.
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
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.robustness import images
from tests.robustness.conftest import CASES
from tests.robustness.outcomes import assert_well, fault_of

CONFORMANCE = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
IMAGES = [*images.rare().values(), *images.truncated().values()]


@schemathesis.serializer("application/zip")
def archive(context: Any, value: Any) -> bytes:
    """A body that is no archive, as the document's `format: binary` allows."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@pytest.fixture
def known(client: TestClient, photo: bytes) -> dict[str, Any]:
    """Ids of existing things, by the name of the path parameter."""
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
def test_every_answer_to_a_generated_request_conforms_to_the_document(
    mode: GenerationMode, client: TestClient, known: dict[str, Any], photo: bytes
) -> None:
    assert isinstance(client.app, FastAPI)
    paths = client.app.openapi()["paths"]
    operations = [found.ok() for found in schemathesis.openapi.from_dict(client.app.openapi()).get_all_operations()]
    each = max(1, CASES // (2 * len(operations)))
    sent = sum(
        _draw(client, operation, mode, known, each)
        for operation in operations
        if mode.is_positive or _can_be_invalid(paths[operation.path][operation.method.lower()])
    )
    print(f"{sent} requests, {mode.value}")
    assert_well(client, photo)


def _can_be_invalid(operation: dict[str, Any]) -> bool:
    """Whether a request can violate the schema of an operation: every text is a valid string parameter."""
    parameters = operation.get("parameters", ())
    return "requestBody" in operation or any(one["schema"].get("type") != "string" for one in parameters)


def _draw(client: TestClient, operation: APIOperation, mode: GenerationMode, known: dict[str, Any], count: int) -> int:
    """Send generated requests to one operation, and check their answers; returns the number of requests."""
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
            _set_image(case, data.draw(st.sampled_from(IMAGES)))
        sent += 1
        response = _send(client, case)
        fault = fault_of(response)
        assert fault is None, f"{case.as_curl_command()}: {fault}"
        case.validate_response(response, checks=CONFORMANCE)

    each()
    return sent


def _set_image(case: Case, image: bytes) -> None:
    """Replace the image of a request by a real image file."""
    if isinstance(case.body, bytes):
        case.body = image
    elif isinstance(case.body, dict) and "image" in case.body and case.media_type == "multipart/form-data":
        case.body["image"] = image


def _send(client: TestClient, case: Case) -> Response:
    request = case.as_transport_kwargs(base_url="http://testserver")
    ready = requests.Request(**request).prepare()
    return client.request(str(ready.method), str(ready.url), headers=dict(ready.headers), content=ready.body)
