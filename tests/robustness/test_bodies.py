"""Invalid JSON and impossible values: no answer has a status of 500 or more, and no edit is half done."""

import base64
import json
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from tests.robustness import images
from tests.robustness.bodies import BODIES, VALUES, mutated
from tests.robustness.outcomes import Case, assert_well, faults

JSON = {"Content-Type": "application/json"}
TRIANGLE = {"class_name": "kerb", "polygons": [[0, 0, 30, 0, 30, 20]]}
SMALL = images.saved(images.image(), "PNG")
RUNS = {"class_id": 1, "color": "#ff0000", "mask": {"size": [36, 48], "counts": [1000, 500, 228]}}


@pytest.fixture(autouse=True)
def _check_service_afterwards(client: TestClient, photo: bytes) -> Iterator[None]:
    yield
    assert_well(client, photo)


@pytest.fixture
def good(client: TestClient, photo: bytes) -> dict[str, dict]:
    """Accepted bodies, by path."""
    answer = client.post("/segment", content=photo).raise_for_status().json()
    segment, exemplar = answer["segments"][0]["segment_id"], answer["segments"][0]["exemplars"][0]["exemplar_id"]
    return {
        f"/segments/{segment}/label?relabel=false": {"class_name": "kerb", "color": "#00ff00", "reason": "seen"},
        "/exemplars/remove": {"exemplar_ids": [exemplar], "reason": "wrong"},
        "/exemplars/labels": {"labels": [{"exemplar_id": exemplar, "class_name": "kerb", "color": "#00ff00"}]},
        "/exemplars/preview": {"remove": [exemplar], "relabel": [{"exemplar_id": exemplar, "class_id": 1}]},
        "/classes": {"name": "kerb", "color": "#00ff00", "reason": "new"},
        "/edits/1/revert": {"reason": "wrong"},
        "/session": {"key": "segsort_abc"},
        "/webhooks": {"url": "http://127.0.0.1:9/", "events": ["edit.made"]},
    }


def sent(client: TestClient, path: str, bodies: Iterator[tuple[str, bytes]]) -> Iterator[Case]:
    for name, body in bodies:
        yield f"{path}: {name}", lambda b=body: client.post(path, content=b, headers=JSON)


def test_no_value_in_a_body_makes_a_route_fail(client: TestClient, good: dict[str, dict]) -> None:
    for path, body in good.items():
        assert faults(sent(client, path, mutated(body))) == []


def test_no_body_makes_a_route_fail(client: TestClient, good: dict[str, dict]) -> None:
    for path in (*good, "/exemplars"):
        assert faults(sent(client, path, iter(BODIES.items()))) == []


def test_no_content_type_makes_a_route_fail(client: TestClient, good: dict[str, dict]) -> None:
    kinds = (
        "", "text/plain", "application/json; charset=utf-7", "application/json;;;", "application/x-www-form-urlencoded",
        "application/vnd.api+json", "multipart/form-data", "multipart/form-data; boundary=", "image/png", "\xff",
        "a" * 5000, "multipart/form-data; boundary=" + "b" * 5000, "Multipart/Form-Data; boundary=b; charset=none",
    )  # fmt: skip

    def cases() -> Iterator[Case]:
        for path, body in {**good, "/exemplars": {"image": "", "annotations": [TRIANGLE]}, "/segment": {}}.items():
            for kind in kinds:
                headers = {"Content-Type": kind.encode("latin-1")}
                yield f"{path} as {kind[:60]}", lambda p=path, b=body, h=headers: client.post(p, json=b, headers=h)

    assert faults(cases()) == []


def test_no_value_in_a_labelled_image_makes_adding_exemplars_fail(client: TestClient) -> None:
    image = base64.b64encode(SMALL).decode()
    for annotation in (TRIANGLE, RUNS):
        body = {"image": image, "annotations": [annotation], "reason": "new", "source": "a street"}
        assert faults(sent(client, "/exemplars", mutated(body))) == []


def test_no_value_in_strokes_makes_adding_exemplars_fail(client: TestClient) -> None:
    stroke = {"class_name": "kerb", "color": "#010203", "points": [[4, 4], [20, 12]], "width": 3}
    body = {"image": base64.b64encode(SMALL).decode(), "segmentation_id": "0", "strokes": [stroke]}
    assert faults(sent(client, "/exemplars", mutated(body))) == []
    del body["segmentation_id"]
    assert faults(sent(client, "/exemplars", mutated(body))) == []


def test_no_annotation_or_class_in_a_form_makes_adding_exemplars_fail(client: TestClient) -> None:
    def cases() -> Iterator[Case]:
        for name, body in mutated({"list": [RUNS]}):
            data = {"annotations": body.decode().removeprefix('{"list": ').removesuffix("}")}
            yield f"annotations: {name}", lambda d=data: client.post("/exemplars", files={"image": SMALL}, data=d)
        for name, body in [*mutated({"1": "kerb"}), *mutated({"#ff0000": {"class_id": 1}})]:
            files = {"image": SMALL, "mask": SMALL, "classes": body}
            yield f"classes: {name}", lambda f=files: client.post("/exemplars", files=f)

    assert faults(cases()) == []


def test_no_reason_in_a_query_or_a_form_makes_an_edit_fail(client: TestClient) -> None:
    texts = [json.loads(value) for value in VALUES.values() if value.startswith('"') and len(value) < 5000]
    reasons = [text.encode(errors="surrogatepass").decode(errors="replace") for text in texts]

    def cases() -> Iterator[Case]:
        for text in reasons:
            yield repr(text), lambda t=text: client.delete("/exemplars/0", params={"reason": t})
            for name in ("reason", "source", "surprise", ""):
                data = {"annotations": json.dumps([TRIANGLE]), name: text}
                yield repr((name, text)), lambda d=data: client.post("/exemplars", files={"image": SMALL}, data=d)

    assert faults(cases()) == []
