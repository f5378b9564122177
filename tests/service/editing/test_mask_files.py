"""Mask files as maps of classes."""

import io

import numpy as np
import pytest
from PIL import Image

from model_store.images import decode_mask
from service.editing.annotations import IGNORE
from service.editing.mask_files import from_mask
from service.problems import Problem

SIZE = (6, 8)


def png(values: np.ndarray, palette: bool = False) -> bytes:
    image, file = Image.fromarray(values), io.BytesIO()
    if palette:
        image.putpalette([9, 9, 9] * 256)
    image.save(file, "PNG")
    return file.getvalue()


def test_an_indexed_mask_and_an_rgb_mask_give_the_same_map() -> None:
    indices = np.random.default_rng(0).integers(0, 3, SIZE, dtype=np.uint8)
    colors = np.array([(0, 0, 0), (255, 0, 0), (1, 2, 3)], np.uint8)[indices]
    by_index = from_mask(png(indices, palette=True), '{"1": "a", "2": {"class_id": 5}}', SIZE, 99)
    grey = from_mask(png(indices), '{"1": "a", "2": {"class_id": 5}}', SIZE, 99)
    by_color = from_mask(png(colors), '{"#ff0000": "a", "010203": {"class_id": 5}}', SIZE, 99)
    expected = np.where(indices == 0, IGNORE, indices.astype(np.int32) - 1)
    for labels in (by_index, grey, by_color):
        assert (labels.values == expected).all()
        assert [(ref.name, ref.class_id) for ref in labels.refs] == [("a", None), (None, 5)]


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ('{"7": "a"}', "No pixel of the mask"),
        ('{"65536": "a"}', "The colour is not valid"),
        ('{"red": "a"}', "The colour is not valid"),
        ('{"1": "a", "#ff0000": "b"}', "indices and colours"),
        ("{}", "classes: "),
        ("[]", "classes: "),
        ('{"1": 5}', "classes"),
        ('{"1": {"name": "a", "class_id": 1}}', "either a name or an id"),
    ],
)
def test_classes_that_do_not_fit_the_mask_are_refused(classes: str, words: str) -> None:
    with pytest.raises(Problem, match=words) as refused:
        from_mask(png(np.ones(SIZE, np.uint8)), classes, SIZE, 99)
    assert refused.value.status == 422


def files(image: Image.Image) -> dict[str, bytes]:
    """An image as files of several formats."""
    found = {}
    for name, form, options in (("png", "PNG", {}), ("tiff", "TIFF", {}), ("webp", "WEBP", {"lossless": True})):
        file = io.BytesIO()
        image.save(file, form, **options)  # type: ignore[arg-type]
        found[name] = file.getvalue()
    return found


def test_every_way_to_store_a_mask_gives_the_same_classes() -> None:
    labels = np.random.default_rng(0).integers(0, 3, SIZE).astype(np.uint8)
    colours = np.array([[0, 0, 0], [255, 0, 0], [1, 2, 3]], np.uint8)
    palette = Image.fromarray(labels).convert("P")
    palette.putpalette(colours.ravel().tolist())
    by_index, by_colour = '{"1": "a", "2": "b"}', '{"#ff0000": "a", "#010203": "b"}'
    expected = np.where(labels == 0, IGNORE, labels.astype(int) - 1)
    grey = Image.fromarray(labels)
    deep = Image.fromarray(labels.astype(np.uint16))
    for image, classes in (
        *((image, by_index) for image in (grey, deep, palette, grey.convert("LA"), grey.convert("RGB"))),
        *((image, by_colour) for image in (palette, Image.fromarray(colours[labels]), palette.convert("RGBA"))),
    ):
        for name, content in files(image).items():
            if name == "webp" and image.mode not in ("RGB", "RGBA"):
                continue
            np.testing.assert_array_equal(from_mask(content, classes, SIZE, 99).values, expected)


def test_transparent_pixels_of_a_mask_have_no_class() -> None:
    rgba = np.zeros((*SIZE, 4), np.uint8)
    rgba[:, :3] = (255, 255, 255, 255)
    found = from_mask(png(rgba), '{"#ffffff": "a", "#000000": "b"}', SIZE, 99)
    assert [ref.name for ref in found.refs] == ["a"]
    assert (found.values[:, :3] == 0).all()
    assert (found.values[:, 3:] == IGNORE).all()


def test_a_mask_whose_colours_were_altered_is_refused() -> None:
    colours = np.random.default_rng(0).integers(0, 2, (10, 20, 1)).repeat(3, axis=2).astype(np.uint8) * 255
    file = io.BytesIO()
    Image.fromarray(colours).save(file, "JPEG", quality=50)
    for content in (
        file.getvalue(),
        png(np.asarray(Image.fromarray(colours).resize((40, 30), Image.Resampling.BICUBIC))),
    ):
        size = decode_mask(content).colours.shape
        with pytest.raises(Problem, match="colours of the mask were altered") as refused:
            from_mask(content, '{"#ffffff": "a", "#000000": "b"}', size, 10_000)
        assert "% of the pixels" in str(refused.value.received)


def test_indices_and_colours_are_not_confused() -> None:
    with pytest.raises(Problem, match="The mask has colours, and the keys of `classes` are indices"):
        from_mask(png(np.array([[[1, 2, 3]] * 2], np.uint8)), '{"1": "a"}', (1, 2), 99)
    with pytest.raises(Problem, match="indices of 16 bits"):
        from_mask(png(np.array([[1000, 2]], np.uint16)), '{"#ff0000": "a"}', (1, 2), 99)
    assert from_mask(png(np.array([[1000, 2]], np.uint16)), '{"1000": "a"}', (1, 2), 99).values.tolist() == [
        [0, IGNORE]
    ]


def test_the_values_of_a_mask_are_named_where_none_has_a_class() -> None:
    with pytest.raises(Problem) as refused:
        from_mask(png(np.full((*SIZE, 3), 16, np.uint8)), '{"#ff0000": "a"}', SIZE, 99)
    assert refused.value.received == ["#101010"]


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(Problem, match="The image and the mask have different sizes"):
        from_mask(png(np.ones((8, 6), np.uint8)), '{"1": "a"}', SIZE, 99)
