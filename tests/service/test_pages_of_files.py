"""POST /segment?page=N: one page of a TIFF is segmented, stored, explained and corrected."""

import io
from typing import Any

import numpy as np
import pytest
import tifffile
from fastapi.testclient import TestClient
from PIL import Image

from model_store.images import decode, take_page
from tests.conftest import Blocks
from tests.service.conftest import encoded

PAGES = [Blocks("val")[n].image for n in range(3)]


def written(pages: list[np.ndarray], **options: object) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for page in pages:
            writer.write(page, contiguous=False, photometric="rgb", **options)  # type: ignore[arg-type]
    return file.getvalue()


FILE = written(PAGES, compression="zlib")
DEEP = written([page.astype(np.uint16) * 257 for page in PAGES])


def segmented(client: TestClient, content: bytes, **query: object) -> dict[str, Any]:
    answer: dict[str, Any] = client.post("/segment", content=content, params=query).raise_for_status().json()  # type: ignore[arg-type]
    return answer


def labels(answer: dict[str, Any]) -> list[tuple[object, ...]]:
    return [(one["class_name"], one["area"], one["mask"]["counts"]) for one in answer["segments"]]


@pytest.mark.parametrize("content", [FILE, DEEP], ids=["8 bits", "16 bits"])
def test_each_page_is_answered_like_the_page_as_a_file_of_its_own(client: TestClient, content: bytes) -> None:
    answers = [segmented(client, content, page=n) for n in range(3)]
    assert [(one["page"], one["pages"]) for one in answers] == [(0, 3), (1, 3), (2, 3)]
    assert len({one["image_id"] for one in answers}) == 3
    for n, answer in enumerate(answers):
        assert labels(answer) == labels(segmented(client, encoded(PAGES[n])))
        stored = client.get(answer["image_url"]).content
        np.testing.assert_array_equal(decode(stored).pixels, PAGES[n])
        assert tifffile.TiffFile(io.BytesIO(stored)).pages[0].dtype == (np.uint16 if content is DEEP else np.uint8)


def test_the_first_page_is_the_default_and_other_files_have_one(client: TestClient) -> None:
    assert segmented(client, FILE)["image_id"] == segmented(client, FILE, page=0)["image_id"]
    single = segmented(client, encoded(PAGES[0]))
    assert (single["page"], single["pages"]) == (0, 1)
    assert client.get(single["image_url"]).content == encoded(PAGES[0])


@pytest.mark.parametrize(("content", "page"), [(FILE, 3), (FILE, 10**12), (encoded(PAGES[0]), 1), (b"", 1)])
def test_a_page_that_does_not_exist_is_refused(client: TestClient, content: bytes, page: int) -> None:
    refused = client.post("/segment", content=content, params={"page": page})
    assert refused.status_code == 422
    assert f"page {page}" in refused.json()["received"]
    assert client.post("/segment", content=FILE, params={"page": -1}).status_code == 422


def test_all_that_follows_from_an_answer_uses_its_page(client: TestClient) -> None:
    answer = segmented(client, FILE, page=2)
    url = f"/segmentations/{answer['segmentation_id']}"
    again = client.get(url).json()
    assert client.post(f"{url}/relabel").json()["segmentation_id"] == answer["segmentation_id"]
    client.delete(f"/exemplars/{client.get('/exemplars').json()['exemplars'][0]['exemplar_id']}").raise_for_status()
    relabelled = client.post(f"{url}/relabel").json()
    assert [(one["page"], one["pages"], one["image_id"]) for one in (again, relabelled)] == [
        (2, 3, answer["image_id"])
    ] * 2
    listed = client.get("/segmentations").json()
    assert [(one["page"], one["pages"]) for one in listed] == [(2, 3), (2, 3)]
    shown = Image.open(io.BytesIO(client.get(f"{url}/image?size=4096", headers={"accept": "image/png"}).content))
    np.testing.assert_array_equal(np.asarray(shown), PAGES[2])
    segment = max(answer["segments"], key=lambda one: one["area"])
    body = {"class_name": "lava"}
    exemplar = client.post(f"/segments/{segment['segment_id']}/label", json=body).json()["exemplar"]
    np.testing.assert_array_equal(decode(client.get(exemplar["image_url"]).content).pixels, PAGES[2])
    crop = np.asarray(Image.open(io.BytesIO(client.get(f"/segments/{segment['segment_id']}/crop").content)))
    same = np.asarray(Image.open(io.BytesIO(client.get(exemplar["crop_url"]).content)))
    np.testing.assert_array_equal(crop, same)
    assert client.get("/segmentations?latest=true").json()[0]["marked"] == 1


def test_strokes_may_come_with_the_whole_file_or_with_the_page(client: TestClient) -> None:
    answer = segmented(client, FILE, page=1)
    strokes = '[{"class_name": "lava", "points": [[5, 5], [40, 5]], "width": 4}]'
    for image in (FILE, take_page(FILE, 1).content):
        data = {"strokes": strokes, "segmentation_id": answer["segmentation_id"]}
        added = client.post("/exemplars", files={"image": image}, data=data)
        assert added.status_code in (200, 201), added.text
    exemplar = client.get(f"/exemplars/{added.json()['exemplars'][0]['exemplar_id']}").json()
    np.testing.assert_array_equal(decode(client.get(exemplar["image_url"]).content).pixels, PAGES[1])
    other = client.post("/exemplars", files={"image": take_page(FILE, 0).content}, data=data)
    assert other.status_code == 422


def test_a_list_says_which_answers_later_edits_may_have_changed(client: TestClient) -> None:
    first, second = segmented(client, FILE, page=0), segmented(client, FILE, page=1)
    assert {one["outdated"] for one in client.get("/segmentations").json()} == {False}
    body = {"class_name": "lava"}
    client.post(f"/segments/{first['segments'][0]['segment_id']}/label", json=body).raise_for_status()
    listed = {one["image_id"]: one for one in client.get("/segmentations?latest=true").json()}
    assert (listed[first["image_id"]]["outdated"], listed[first["image_id"]]["marked"]) == (False, 1)
    assert (listed[second["image_id"]]["outdated"], listed[second["image_id"]]["marked"]) == (True, 0)


def test_segmenting_again_gives_the_labels_of_the_stored_page(client: TestClient) -> None:
    first = segmented(client, FILE, page=1)
    again = client.post(f"/segmentations/{first['segmentation_id']}/segment").raise_for_status().json()
    assert again["segmentation_id"] != first["segmentation_id"]
    assert [again[name] for name in ("image_id", "page", "pages")] == [first["image_id"], 1, first["pages"]]
    assert [one["mask"] for one in again["segments"]] == [one["mask"] for one in first["segments"]]
    assert [one["class_name"] for one in again["segments"]] == [one["class_name"] for one in first["segments"]]


def test_an_image_that_is_not_stored_cannot_be_segmented_again(client: TestClient) -> None:
    first = segmented(client, FILE, page=0)
    client.delete(f"/segmentations/{first['segmentation_id']}?image=true").raise_for_status()
    assert client.post(f"/segmentations/{first['segmentation_id']}/segment").status_code == 404
