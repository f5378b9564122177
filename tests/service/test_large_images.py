"""A JPEG above the limit of pixels is decoded at a fraction; what follows from it has its full size."""

import io
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import ExifTags, Image

from segsort.masks import decode_rle
from service.answering.limits import SegmentRequest
from tests.conftest import Blocks
from tests.service.conftest import encoded

SCALE = 8
HEIGHT, WIDTH = 72 * SCALE, 96 * SCALE
LABELS = Blocks("val")[0].labels.repeat(SCALE, 0).repeat(SCALE, 1)
LIMIT = HEIGHT * WIDTH // 4 + 1  # the largest fraction that fits is a half of each side


@pytest.fixture(scope="module")
def large() -> np.ndarray:
    """A smooth image of blocks, [576, 768, 3]."""
    return np.asarray(Image.fromarray(Blocks("val")[0].image).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


@pytest.fixture
def client(start: Callable[..., TestClient]) -> Iterator[TestClient]:
    with start(max_pixels=LIMIT, engine_pixels=HEIGHT * WIDTH) as client:
        yield client


def class_map(answer: dict) -> np.ndarray:
    classes = np.full((answer["height"], answer["width"]), -1)
    for segment in answer["segments"]:
        classes[decode_rle(segment["mask"]["counts"], classes.shape)] = segment["class_id"]
    return classes


@pytest.mark.parametrize("progressive", [False, True])
def test_a_large_jpeg_is_answered_at_its_full_size(client: TestClient, large: np.ndarray, progressive: bool) -> None:
    content = encoded(large, "JPEG", quality=95, progressive=progressive)
    answer = client.post("/segment", content=content).raise_for_status().json()
    classes = class_map(answer)
    assert classes.shape == (HEIGHT, WIDTH)
    known = LABELS != 255
    assert (classes == LABELS)[known].mean() > 0.9
    label_map = client.post("/segment", content=content, headers={"accept": "image/png"})
    assert (np.asarray(Image.open(io.BytesIO(label_map.content))) == classes).all()
    assert client.get(answer["image_url"]).content == content


def test_a_large_jpeg_that_is_stored_rotated_is_answered_upright(client: TestClient, large: np.ndarray) -> None:
    image = Image.fromarray(np.ascontiguousarray(np.rot90(large)))
    image.getexif()[ExifTags.Base.Orientation] = 6
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, exif=image.getexif())
    answer = client.post("/segment", content=file.getvalue()).raise_for_status().json()
    assert (answer["width"], answer["height"]) == (WIDTH, HEIGHT)
    assert (class_map(answer) == LABELS)[LABELS != 255].mean() > 0.9
    crop = client.get(f"/segments/{answer['segments'][0]['segment_id']}/crop")
    assert crop.status_code == 200


@pytest.mark.parametrize("form", ["PNG", "WEBP", "BMP", "TIFF"])
def test_other_formats_of_that_size_are_refused(client: TestClient, large: np.ndarray, form: str) -> None:
    refused = client.post("/segment", content=encoded(large, form))
    assert refused.status_code == 413
    assert (refused.json()["received"], refused.json()["allowed"]) == (
        f"{WIDTH}x{HEIGHT} = {WIDTH * HEIGHT} pixels",
        f"at most {LIMIT} pixels",
    )


def test_a_jpeg_whose_labels_do_not_fit_into_the_engine_is_refused(
    start: Callable[..., TestClient], large: np.ndarray
) -> None:
    content = encoded(large, "JPEG")
    with start(max_pixels=LIMIT, engine_pixels=HEIGHT * WIDTH - 1) as client:
        refused = client.post("/segment", content=content)
        assert (refused.status_code, refused.json()["allowed"]) == (413, f"at most {HEIGHT * WIDTH - 1} pixels")
        assert "SEGSORT_MAX_PIXELS" in refused.json()["fix"]
        added = client.post("/exemplars", files={"image": content}, data={"strokes": "[]"})
        assert added.status_code == 413


def test_a_jpeg_that_is_too_large_for_the_network_is_refused(
    start: Callable[..., TestClient], large: np.ndarray
) -> None:
    """The least fraction that suffices for the network must fit too."""
    with start(max_pixels=96 * 72 - 1, engine_pixels=HEIGHT * WIDTH) as client:
        assert client.post("/segment", content=encoded(large, "JPEG")).status_code == 413


def test_the_queue_counts_the_pixels_of_the_labels(client: TestClient, large: np.ndarray) -> None:
    content = encoded(large, "JPEG")
    assert client.app.state.engine.measure(content, SegmentRequest()) == HEIGHT * WIDTH  # type: ignore[attr-defined]


def crop_of(client: TestClient, url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(client.get(url).raise_for_status().content)).convert("RGB")).astype(int)


def test_crops_show_the_right_part_at_half_the_size(
    client: TestClient, start: Callable[..., TestClient], large: np.ndarray
) -> None:
    content = encoded(large, "JPEG", quality=95)
    answer = client.post("/segment", content=content).json()
    segment = min(answer["segments"], key=lambda one: one["area"])
    small = crop_of(client, f"/segments/{segment['segment_id']}/crop")
    with start(max_pixels=10**6) as other:  # over the same database
        whole = crop_of(other, f"/segments/{segment['segment_id']}/crop")
    assert abs(small.shape[0] * 2 - whole.shape[0]) <= 24 + 2  # the margin has at least 12 pixels
    middle = [size // 2 for size in small.shape[:2]], [size // 2 for size in whole.shape[:2]]
    assert np.abs(small[tuple(middle[0])] - whole[tuple(middle[1])]).max() < 30


@pytest.mark.parametrize("form", ["strokes", "annotations"])
def test_exemplars_of_a_large_jpeg_have_masks_of_the_full_size(
    client: TestClient, large: np.ndarray, form: str
) -> None:
    content = encoded(large, "JPEG", quality=95)
    answer = client.post("/segment", content=content).json()
    marks = {
        "strokes": [{"class_name": "lava", "points": [[100, 100], [300, 100]], "width": 20}],
        "annotations": [{"class_name": "lava", "polygons": [[100, 90, 300, 90, 300, 110, 100, 110]]}],
    }
    body = {"segmentation_id": answer["segmentation_id"], form: marks[form]}
    added = client.post("/exemplars", json=body).raise_for_status().json()
    covered = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for one in added["exemplars"]:
        exemplar = client.get(f"/exemplars/{one['exemplar_id']}").json()
        assert exemplar["mask"]["size"] == [HEIGHT, WIDTH]
        covered |= decode_rle(exemplar["mask"]["counts"], (HEIGHT, WIDTH))
        crop = crop_of(client, exemplar["crop_url"])
        assert crop.shape[1] <= one["bbox"][2] / 2 + 2 * max(12, 0.15 * one["bbox"][2]) + 2
    assert covered[100, 110:290].all()
    assert abs(covered.sum() - 200 * 20) < 800


def test_a_mask_file_above_the_limit_is_refused(client: TestClient, large: np.ndarray) -> None:
    files = {"image": encoded(large, "JPEG"), "mask": encoded(LABELS)}
    refused = client.post("/exemplars", files=files, data={"classes": '{"0": "brick"}'})
    assert refused.status_code == 413
    assert refused.json()["allowed"] == f"at most {LIMIT} pixels"
