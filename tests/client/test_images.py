"""What the client accepts as an image, and how it refuses the rest."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segsort_client import InputError
from segsort_client.flow import Work
from segsort_client.images import ImageFile, image_file
from segsort_client.png import png


def read(image: Any) -> ImageFile:
    """The file that is sent for an image that needs no network."""
    flow = image_file(image)
    step = next(flow)
    assert isinstance(step, Work)
    try:
        flow.send(step.function())
    except StopIteration as ended:
        return ImageFile(*ended.value)
    raise AssertionError("one step is enough")


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 3), (7, 5, 4), (1, 1), (1, 9, 3), (9, 1, 4)])
def test_an_array_is_sent_as_a_png_with_its_pixels(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    assert (decoded(png(array)) == array).all()
    view = np.random.default_rng(1).integers(0, 256, (20, 20, 4), dtype=np.uint8)[::-2, ::3, :3]  # not contiguous
    assert (decoded(png(view)) == view).all()


def test_an_array_of_sixteen_bits_keeps_its_bits() -> None:
    for array in (np.arange(70, dtype="<u2").reshape(7, 10) * 900, np.arange(70, dtype=">u2").reshape(7, 10) * 900):
        assert (decoded(png(array)) == array).all()


def test_one_channel_in_a_third_dimension_is_grey() -> None:
    array = np.arange(35, dtype=np.uint8).reshape(7, 5, 1)
    assert (decoded(png(array)) == array[..., 0]).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LA", "I;16"])
def test_an_image_of_pillow_is_sent_in_every_mode(mode: str) -> None:
    rgb = Image.fromarray(np.random.default_rng(2).integers(0, 256, (6, 8, 3), dtype=np.uint8))
    image = rgb.convert("I").convert("I;16") if mode == "I;16" else rgb.convert(mode)
    found = decoded(read(image).content)
    assert found.shape[:2] == (6, 8)
    if mode in ("1", "L", "RGB", "RGBA", "I;16"):
        assert (found == np.asarray(image)).all()
    if mode == "P":
        assert (found == np.asarray(image.convert("RGB"))).all()


def test_a_path_bytes_and_a_file_object_are_sent_unchanged(tmp_path: Path) -> None:
    content = png(np.zeros((3, 3), dtype=np.uint8))
    path = tmp_path / "cells 7.png"
    path.write_bytes(content)
    assert read(path) == read(str(path)) == (content, "cells 7.png")
    with path.open("rb") as file:
        assert read(file) == (content, "cells 7.png")
    assert read(content) == read(bytearray(content)) == read(memoryview(content)) == (content, None)
    assert read(io.BytesIO(content)) == (content, None)


def closed(file: Any) -> Any:
    """The file or image, closed."""
    file.close()
    return file


REFUSED = {
    "floats": (np.zeros((4, 4), dtype=np.float32), "float32"),
    "booleans": (np.zeros((4, 4), dtype=bool), "bool"),
    "channels first": (np.zeros((3, 40, 50), dtype=np.uint8), "moveaxis"),
    "two channels": (np.zeros((4, 4, 2), dtype=np.uint8), "(4, 4, 2)"),
    "a batch": (np.zeros((2, 4, 4, 3), dtype=np.uint8), "(2, 4, 4, 3)"),
    "no pixels": (np.zeros((0, 4), dtype=np.uint8), "(0, 4)"),
    "a number": (7, "int"),
    "nothing": (None, "NoneType"),
    "a list": ([[1, 2]], "list"),
    "a missing file": ("no-such.jpg", "no-such.jpg"),
    "a null character": ("a\0b.jpg", "cannot be read"),
    "a folder": (Path(__file__).parent, "segment_many"),
    "no bytes": (b"", "no bytes"),
    "a text file": (io.StringIO("x"), "rb"),
    "a closed file": (closed(io.BytesIO(b"x")), "closed"),
    "a closed image": (closed(Image.new("RGB", (4, 4))), "mode RGB"),
    "floats of Pillow": (Image.new("F", (4, 4)), "float32"),
    "negative numbers of Pillow": (Image.new("I", (4, 4), -1), "int32"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_sent_is_refused_with_a_fix(name: str) -> None:
    image, said = REFUSED[name]
    with pytest.raises(InputError) as caught:
        read(image)
    assert said in str(caught.value)
    assert caught.value.received is not None
    assert caught.value.allowed is not None


def test_an_image_of_pillow_with_integers_keeps_its_sixteen_bits() -> None:
    pixels = np.array([[0, 300], [40_000, 65_535]], dtype=np.int32)
    with Image.open(io.BytesIO(read(Image.fromarray(pixels)).content)) as sent:
        assert np.array_equal(np.asarray(sent), pixels)
