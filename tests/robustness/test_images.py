"""Damaged and unusual image files, for POST /segment and as image and mask of POST /exemplars."""

from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from tests.robustness import images
from tests.robustness.conftest import CASES
from tests.robustness.outcomes import assert_well, faults

KINDS: dict[str, Callable[[], images.Files]] = {
    "bombs": images.bombs,
    "not images": images.not_images,
    "truncated": images.truncated,
    "damaged": lambda: dict(images.damaged(max(CASES // 10, 32))),
}
TRIANGLE = '[{"class_name": "kerb", "polygons": [[0, 0, 1, 0, 1, 1]]}]'


@pytest.fixture(autouse=True)
def _check_service_afterwards(client: TestClient, photo: bytes) -> Iterator[None]:
    yield
    assert_well(client, photo)


@pytest.mark.parametrize("files", [images.rare, images.odd_metadata])
def test_rare_images_and_those_with_odd_metadata_are_answered(
    files: Callable[[], images.Files], client: TestClient
) -> None:
    answers = {name: client.post("/segment", content=content) for name, content in files().items()}
    assert {name: answer.text for name, answer in answers.items() if answer.status_code != 200} == {}
    for answer in answers.values():
        body = answer.json()
        assert sum(segment["area"] for segment in body["segments"]) == body["width"] * body["height"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_image_makes_segmenting_fail(kind: str, client: TestClient) -> None:
    files = KINDS[kind]().items()
    assert faults((name, lambda c=content: client.post("/segment", content=c)) for name, content in files) == []


@pytest.mark.parametrize("kind", KINDS)
def test_no_image_makes_adding_exemplars_fail(kind: str, client: TestClient) -> None:
    def add(content: bytes) -> Response:
        return client.post("/exemplars", files={"image": content}, data={"annotations": TRIANGLE})

    assert faults((name, lambda c=content: add(c)) for name, content in KINDS[kind]().items()) == []


@pytest.mark.parametrize("kind", [*KINDS, "rare"])
def test_no_mask_makes_adding_exemplars_fail(kind: str, client: TestClient) -> None:
    def add(mask: bytes) -> Response:
        files = {"image": images.saved(images.image(), "PNG"), "mask": mask}
        return client.post("/exemplars", files=files, data={"classes": '{"1": "kerb", "7": "sign"}'})

    files = (KINDS | {"rare": images.rare})[kind]()
    assert faults((name, lambda c=content: add(c)) for name, content in files.items()) == []
