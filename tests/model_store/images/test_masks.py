"""Every way to store a mask gives the same labels, or is refused with the reason."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from model_store.card import ClassInfo
from model_store.images import (
    UNLABELLED,
    ImageFault,
    MaskFault,
    MaskValues,
    decode_mask,
    labels_of,
    read_indices,
    read_mask,
)

COLOURS = np.array([[200, 0, 0], [0, 200, 0], [20, 20, 20]], np.uint8)
CLASSES = tuple(
    ClassInfo(class_id=i, name=name, color=tuple(COLOURS[i].tolist()))
    for i, name in enumerate(("crop", "weed", "soil"))
)
LABELS = np.random.default_rng(5).integers(0, 3, (40, 50)).repeat(4, axis=0).repeat(4, axis=1)
VALUES = MaskValues.of(CLASSES, 255)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def palette(order: list[int], colours: np.ndarray = COLOURS) -> Image.Image:
    """A palette image whose entry i is the colour of class order[i]."""
    place = np.argsort(order)
    image = Image.fromarray(place[LABELS].astype(np.uint8)).convert("P")
    image.putdata(place[LABELS].ravel().tolist())
    image.putpalette(colours[order].ravel().tolist())
    return image


def coloured(alpha: np.ndarray | None = None) -> Image.Image:
    values = COLOURS[LABELS]
    return Image.fromarray(values if alpha is None else np.concatenate([values, alpha[:, :, None]], axis=2))


INDEXED = Image.fromarray(LABELS.astype(np.uint8))
SAME = {
    "grey": encoded(INDEXED),
    "grey, 16 bits": encoded(Image.fromarray(LABELS.astype(np.uint16))),
    "grey, TIFF": encoded(INDEXED, "TIFF"),
    "grey, BMP": encoded(INDEXED, "BMP"),
    "grey and alpha": encoded(INDEXED.convert("LA")),
    "RGB of equal channels": encoded(INDEXED.convert("RGB")),
    "RGBA of equal channels": encoded(INDEXED.convert("RGBA")),
    "palette in order": encoded(palette([0, 1, 2])),
    "palette in another order": encoded(palette([2, 0, 1])),
    "palette, GIF": encoded(palette([1, 2, 0]), "GIF"),
    "palette of other colours": encoded(palette([0, 1, 2], COLOURS[::-1] // 2)),
    "colours": encoded(coloured()),
    "colours, TIFF": encoded(coloured(), "TIFF"),
    "colours, lossless WebP": encoded(coloured(), "WEBP", lossless=True),
    "colours and alpha": encoded(coloured().convert("RGBA")),
}


@pytest.mark.parametrize("way", SAME)
def test_one_mask_stored_in_many_ways_gives_the_same_labels(way: str) -> None:
    np.testing.assert_array_equal(labels_of(decode_mask(SAME[way]), VALUES), LABELS)


def test_a_mask_of_one_bit_has_the_classes_0_and_1() -> None:
    labels = labels_of(decode_mask(encoded(Image.fromarray(LABELS == 1))), VALUES)
    np.testing.assert_array_equal(labels, LABELS == 1)


@pytest.mark.parametrize("convert", [lambda image: image, lambda image: image.convert("LA").convert("RGBA")])
def test_transparent_pixels_are_unlabelled(convert: Callable[[Image.Image], Image.Image]) -> None:
    alpha = np.where(np.arange(200) < 80, 0, 255).astype(np.uint8)[None].repeat(160, axis=0)
    image = coloured(alpha) if convert(INDEXED) is INDEXED else Image.merge("LA", (INDEXED, Image.fromarray(alpha)))
    labels = labels_of(decode_mask(encoded(image)), VALUES)
    np.testing.assert_array_equal(labels, np.where(alpha == 0, UNLABELLED, LABELS))


def test_a_transparent_entry_of_a_palette_is_unlabelled() -> None:
    labels = labels_of(decode_mask(encoded(palette([0, 1, 2]), transparency=1)), VALUES)
    np.testing.assert_array_equal(labels, np.where(LABELS == 1, UNLABELLED, LABELS))


@pytest.mark.parametrize(("ignore", "image"), [(255, INDEXED), ([9, 9, 9], coloured())])
def test_values_to_ignore_are_unlabelled(ignore: int | list[int], image: Image.Image) -> None:
    values = np.array(image)
    values[:30] = ignore
    labels = labels_of(decode_mask(encoded(Image.fromarray(values))), MaskValues.of(CLASSES, ignore))
    assert (labels[:30] == UNLABELLED).all()
    np.testing.assert_array_equal(labels[30:], LABELS[30:])


def test_classes_may_have_other_indices_than_their_ids() -> None:
    values = MaskValues.of(CLASSES, 0, [1000, 24, 7])
    mask = np.array([[1000, 24, 7, 0]], np.uint16)
    assert labels_of(decode_mask(encoded(Image.fromarray(mask))), values).tolist() == [[0, 1, 2, UNLABELLED]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            encoded(coloured(), "JPEG", quality=60),
            r"\d\d% of the pixels have \d+ colours that are no class: .*JPEG",
        ),
        (encoded(coloured(), "WEBP", quality=60), "lossy WebP alter values: save the mask as PNG"),
        (
            encoded(coloured().filter(ImageFilter.GaussianBlur(1))),
            r"nearest: (crop|weed|soil), #[0-9a-f]{6}.*without anti-aliasing",
        ),
        (
            encoded(Image.new("RGB", (5, 5), "#c80001")),
            r"100\.00% .*#c80001 \(nearest: crop, #c80000\)\. Add",
        ),
        (
            encoded(Image.new("L", (5, 5), 7)),
            r"a value that is no class: 7\. Allowed: 0, 1, 2, 255",
        ),
        (encoded(palette([0, 1, 2], COLOURS // 2 + 3).point(lambda value: value + 9)), "no class"),
    ],
)
def test_values_of_no_class_are_refused_with_their_share_and_the_nearest_class(content: bytes, said: str) -> None:
    with pytest.raises(MaskFault, match=said):
        labels_of(decode_mask(content), VALUES)


def test_a_black_and_white_mask_is_explained() -> None:
    mask = Image.fromarray(np.where(LABELS == 1, 255, 0).astype(np.uint8))
    with pytest.raises(MaskFault, match="black and white"):
        labels_of(decode_mask(encoded(mask)), MaskValues.of(CLASSES))


def test_a_mask_of_colours_needs_classes_with_colours() -> None:
    values = MaskValues({0: 0, 1: 1}, {}, {0: "a", 1: "b"})
    with pytest.raises(MaskFault, match="has colours, and its classes have none"):
        labels_of(decode_mask(encoded(coloured())), values)
    assert labels_of(decode_mask(encoded(Image.fromarray(LABELS % 2 == 1))), values).max() == 1
    by_colour = MaskValues({}, {0xC80000: 0}, {0: "a"})
    with pytest.raises(MaskFault, match="no class: #010101"):
        labels_of(decode_mask(encoded(Image.new("L", (2, 2), 1))), by_colour)


def test_grey_of_a_single_channel_is_an_index_even_if_it_is_a_colour() -> None:
    """An image of index 0 alone is black, which may be the colour of another class."""
    classes = (CLASSES[0], ClassInfo(class_id=1, name="night", color=(0, 0, 0)))
    for image, expected in ((Image.new("L", (3, 2)), 0), (Image.new("RGB", (3, 2)), 1)):
        assert (labels_of(decode_mask(encoded(image)), MaskValues.of(classes)) == expected).all()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "empty"),
        (b"no mask", "unsupported"),
        (SAME["colours"][:80], "damaged"),
        (encoded(Image.new("CMYK", (3, 3)), "TIFF"), "unsupported"),
        (encoded(Image.new("F", (3, 3)), "TIFF"), "unsupported"),
    ],
)
def test_what_is_no_mask_says_why(content: bytes, fault: str) -> None:
    with pytest.raises(ImageFault) as raised:
        decode_mask(content)
    assert raised.value.fault == fault


def test_a_mask_larger_than_the_limit_is_refused() -> None:
    with pytest.raises(ImageFault, match="200x160 = 32000 pixels"):
        decode_mask(SAME["grey"], 31_999)


def test_a_file_that_is_no_mask_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    with pytest.raises(ValueError, match=r"a\.png cannot be read \("):
        read_mask(file)
    file.write_bytes(SAME["colours"])
    with pytest.raises(ValueError, match=r"a\.png has colours"):
        read_indices(file)
    file.write_bytes(SAME["grey, 16 bits"])
    np.testing.assert_array_equal(read_indices(file), LABELS)
