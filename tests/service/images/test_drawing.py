"""Label maps, overlays, crops and contact sheets."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_store.card import ClassInfo
from model_store.release import Release
from segsort.masks import decode_rle
from segsort.retrieval import NO_CLASS
from service.images.drawing import (
    NO_CLASS_COLOR,
    _label,
    _sureness,
    contact_sheet,
    exemplar_image,
    label_map_png,
    outlined_crop,
    overlay,
    png,
    reduced_crop,
    release_crop,
    resampled,
    scaled_box,
)
from service.problems import Problem

CLASSES = [
    ClassInfo(class_id=0, name="brick", color=(200, 40, 30)),
    ClassInfo(class_id=1, name="grass", color=(40, 180, 60)),
]
PINK = [255, 64, 160]


@pytest.fixture(scope="module")
def release(tiny_release: Path) -> Release:
    return Release.open(tiny_release)


def halves() -> np.ndarray:
    """[40, 400] class 0 at the left, class 1 at the right."""
    class_map = np.zeros((40, 400), dtype=np.int64)
    class_map[:, 200:] = 1
    return class_map


def test_a_label_map_has_the_class_ids_as_values_and_their_colours_as_palette() -> None:
    image = Image.open(io.BytesIO(label_map_png(halves(), CLASSES)))
    assert image.mode == "P"
    assert (np.asarray(image) == halves()).all()
    assert image.convert("RGB").getpixel((0, 0)) == CLASSES[0].color
    assert image.convert("RGB").getpixel((399, 0)) == CLASSES[1].color


def test_pixels_without_a_class_have_the_value_255_and_a_neutral_colour() -> None:
    class_map = halves().astype(np.int32)
    class_map[:20] = NO_CLASS
    image = Image.open(io.BytesIO(label_map_png(class_map, CLASSES)))
    assert np.unique(np.asarray(image)[:20]).tolist() == [255]
    assert (np.asarray(image)[20:] == halves()[20:]).all()
    assert image.convert("RGB").getpixel((0, 0)) == NO_CLASS_COLOR
    assert image.convert("RGB").getpixel((399, 39)) == CLASSES[1].color
    nothing = Image.open(io.BytesIO(label_map_png(np.full((4, 5), NO_CLASS), [])))
    assert np.asarray(nothing).tolist() == [[255] * 5] * 4


def test_more_classes_than_a_label_map_holds_are_refused() -> None:
    many = [ClassInfo(class_id=n, name=f"c{n}", color=(n % 256, 0, 0)) for n in range(256)]
    assert np.asarray(Image.open(io.BytesIO(label_map_png(np.full((1, 1), 254), many[:255])))).tolist() == [[254]]
    with pytest.raises(Problem, match="too many classes") as refused:
        label_map_png(np.full((1, 1), 255), many)
    assert refused.value.status == 406


def test_an_overlay_shows_pixels_without_a_class_in_a_neutral_colour_and_names_them() -> None:
    image = np.full((40, 400, 3), 100, dtype=np.uint8)
    class_map = halves()
    class_map[:, 200:] = NO_CLASS
    drawn = np.asarray(overlay(image, class_map, halves(), CLASSES))
    assert drawn[5, 50].tolist() == [150, 70, 65]
    assert drawn[5, 300].tolist() == [118, 118, 118]
    assert (drawn[40:] == NO_CLASS_COLOR).all(axis=2).any(), "in the legend"
    assert np.asarray(overlay(image, halves() * 0 + NO_CLASS, halves(), [])).shape[1] == 400


def test_an_image_is_encoded_without_loss() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (9, 7, 3), dtype=np.uint8)
    assert (np.asarray(Image.open(io.BytesIO(png(Image.fromarray(pixels))))) == pixels).all()


def test_an_overlay_blends_the_colours_and_marks_the_borders() -> None:
    image = np.full((40, 400, 3), 100, dtype=np.uint8)
    labels = halves()
    labels[20:, :200] = 2  # a second segment of the same class
    drawn = np.asarray(overlay(image, halves(), labels, CLASSES))
    assert drawn[5, 50].tolist() == [150, 70, 65]  # the mean of the image and the class's colour
    assert drawn[5, 300].tolist() == [70, 140, 80]
    assert drawn[5, 199].tolist() == [255, 255, 255]  # between classes
    assert drawn[19, 50].tolist() == [90, 42, 39]  # darker between segments of one class
    assert drawn.shape[1] == 400
    assert drawn.shape[0] > 40  # the legend is below


def test_the_legend_shows_only_classes_that_occur() -> None:
    image = np.zeros((40, 400, 3), dtype=np.uint8)
    both = np.asarray(overlay(image, halves(), halves(), CLASSES))[40:]
    one = np.asarray(overlay(image, halves() * 0, halves(), CLASSES))[40:]
    for drawn, count in ((both, 2), (one, 1)):
        present = [info for info in CLASSES if (drawn == info.color).all(axis=2).any()]
        assert present == CLASSES[:count]


def test_a_crop_has_a_margin_and_outlines_the_mask() -> None:
    image = np.full((100, 100, 3), 80, dtype=np.uint8)
    mask = np.zeros((100, 100), dtype=bool)
    mask[40:60, 30:50] = True
    crop = np.asarray(outlined_crop(image, mask, (30, 40, 20, 20)))
    assert crop.shape == (44, 44, 3)  # 12 pixels on each side
    assert crop[22, 22].tolist() == [80, 80, 80]
    assert crop[2, 2].tolist() == [100, 100, 100]  # 80 // 2 + 60: outside the mask
    assert crop[22, 31].tolist() == PINK
    assert (image == 80).all()


def test_a_crop_ends_at_the_edges_of_the_image() -> None:
    image = np.zeros((30, 40, 3), dtype=np.uint8)
    assert outlined_crop(image, np.ones((30, 40), dtype=bool), (0, 0, 40, 30)).size == (40, 30)


def test_an_exemplar_is_cropped_from_its_source_image(release: Release) -> None:
    row = 3
    x, y, width, height = release.exemplars.bboxes[row].tolist()
    source = release.sources[int(release.exemplars.image_ids[row])]
    image = exemplar_image(release, int(release.exemplars.image_ids[row]))
    assert image.size == (source.width, source.height)
    crop = np.asarray(release_crop(release, row))
    mask = decode_rle(release.exemplars.masks[row], (source.height, source.width))
    assert (crop == np.asarray(outlined_crop(np.asarray(image), mask, (x, y, width, height)))).all()


@pytest.mark.parametrize(
    ("name", "known", "confidence", "words"),
    [
        ("road", True, 0.98, "road, 98%, "),
        ("road", True, None, "road, "),
        ("road", False, 0.98, "unknown, nearest: road, "),
        (None, False, None, "unknown, "),
    ],
)
def test_a_caption_never_calls_a_segment_both_sure_and_unknown(
    name: str | None, known: bool, confidence: float | None, words: str
) -> None:
    segment = {"class_name": name, "known": known, "confidence": confidence}
    assert f"{_label(segment)}, {_sureness(segment)}" == words


def test_a_contact_sheet_has_a_row_for_each_segment(release: Release) -> None:
    image = np.zeros((40, 400, 3), dtype=np.uint8)
    exemplar = {"exemplar_id": release.exemplars.ids[0], "class_name": "brick", "similarity": 0.5, "weight": 0.25}
    segment = {"class_name": "brick", "known": True, "confidence": 0.9, "area": 8000, "bbox": [0, 0, 200, 40]}
    segments = [segment | {"exemplars": [exemplar]}, segment | {"exemplars": [], "area": 9000, "known": False}]
    body = {"segments": segments, "height": 40, "width": 400}
    sheet = contact_sheet(image, halves(), body, release, release.rows)
    tile, gap, text = 120, 8, 34
    assert sheet.size == (gap + 3 * (tile + gap), gap + 2 * (tile + text + gap))
    column = gap + tile + gap + tile // 2  # of the first exemplar, which only the smaller segment has
    pixels = np.asarray(sheet)
    first, second = pixels[gap : gap + tile, column : column + tile], pixels[gap + tile + text + gap :, column:]
    assert (first == 255).all()
    assert not (second == 255).all()


def test_a_crop_of_a_reduced_image_shows_the_same_part() -> None:
    mask = np.zeros((80, 160), dtype=bool)
    mask[30:50, 101:141] = True
    image = np.zeros((40, 80, 3), dtype=np.uint8)
    image[15:25, 50:71] = 200
    crop = np.asarray(reduced_crop(image, mask, [101, 30, 40, 20]))
    box = scaled_box([101, 30, 40, 20], (80, 160), (40, 80))
    assert box == [50, 15, 21, 10], "it covers every pixel that the box touches"
    assert crop.shape == (10 + 24, 12 + 21 + 9, 3), "the margin ends at the edge of the image"
    assert (crop[14:20, 15:30] == 200).all()
    whole = np.zeros((80, 160, 3), dtype=np.uint8)
    assert (
        np.asarray(reduced_crop(whole, mask, [101, 30, 40, 20]))
        == np.asarray(outlined_crop(whole, mask, [101, 30, 40, 20]))
    ).all()


def test_a_map_at_another_size_has_the_nearest_values() -> None:
    values = np.arange(12).reshape(3, 4)
    assert resampled(values, (3, 4)) is values
    assert resampled(values, (1, 2)).tolist() == [[0, 2]]
    assert resampled(values, (2, 3)).tolist() == [[0, 1, 2], [4, 5, 6]]


def test_a_large_part_is_drawn_at_a_fraction() -> None:
    image, mask = np.zeros((3000, 5000, 3), dtype=np.uint8), np.ones((3000, 5000), dtype=bool)
    drawn = outlined_crop(image, mask, (0, 0, 5000, 3000))
    assert (drawn.width, drawn.height) == (1667, 1000)
    assert outlined_crop(image, mask, (100, 100, 1000, 1500)).height == 1500 + 2 * 225 - 125
