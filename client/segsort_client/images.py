"""What counts as an image, and the file that is sent for it."""

from __future__ import annotations

import os
import re
import sys
from io import BytesIO
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol, TypeAlias
from urllib.parse import unquote, urlsplit

import httpx
import numpy as np
from numpy.typing import NDArray

from segsort_client.errors import InputError, UnreachableError
from segsort_client.flow import Flow, Send, Work
from segsort_client.png import png


class PilImage(Protocol):
    """An image of Pillow, which the client does not need."""

    @property
    def mode(self) -> str: ...
    @property
    def size(self) -> tuple[int, int]: ...
    def getbands(self) -> tuple[str, ...]: ...


ImageInput: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | NDArray[np.uint8] | NDArray[np.uint16] "
    "| PilImage"
)
ALLOWED = (
    "a path, an http or https URL, bytes of an image file, a binary file object, a PIL image, or a numpy array of "
    "uint8 or uint16 with shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
)
_PNG_MODES = ("1", "L", "I;16", "RGB", "RGBA")
_DEEP_MODES = ("I", "I;16B", "I;16L", "I;16N")  # of images of 16 bits, which `convert` would cut off at 255


class ImageFile(NamedTuple):
    """An image file and its name; None: it has none."""

    content: bytes
    name: str | None


def is_url(image: object) -> bool:
    """Whether an image is an http or https URL."""
    return isinstance(image, str) and image[:8].lower().startswith(("http://", "https://"))


def image_file(image: ImageInput, timeout: float | httpx.Timeout | None = 60.0) -> Flow[ImageFile]:
    """Read, fetch or encode an image.

    A PIL image and an array are sent as their pixels are: the orientation in the EXIF data of the file that they came
    from is not applied, so that masks fit them.

    Raises:
        InputError: if it is not an image that can be sent.
        UnreachableError: if a URL cannot be fetched.
    """
    if isinstance(image, str) and is_url(image):
        found = yield from _fetched(image, httpx.Timeout(timeout))
    else:
        found = yield Work(lambda: _local(image))
    if not found.content:
        raise InputError("The image file is empty.", received=found.name or "no bytes", allowed=ALLOWED)
    return ImageFile(*found)


def _fetched(url: str, timeout: httpx.Timeout) -> Flow[ImageFile]:
    """The file at a URL. The key of the service is not sent there."""
    try:
        parts = urlsplit(url)
        request = httpx.Request("GET", url, extensions={"timeout": timeout.as_dict()})
    except (httpx.InvalidURL, ValueError) as error:
        raise InputError("The URL of the image is not valid.", received=_shown(url), allowed=ALLOWED) from error
    answer = yield Send(request, foreign=True)
    if isinstance(answer, httpx.Response) and answer.is_success:
        return ImageFile(answer.content, unquote(parts.path.rpartition("/")[2]) or None)
    said = f"HTTP {answer.status_code}" if isinstance(answer, httpx.Response) else str(answer) or type(answer).__name__
    raise UnreachableError(
        "The image could not be fetched.", received=f"{_shown(url)}: {said}",
        allowed="a URL that answers with an image file",
        fix="Open the URL in a browser, or fetch the file yourself and send its bytes.",
    )  # fmt: skip


def _shown(url: str) -> str:
    """A URL without what may be secret: the password and the query."""
    return re.sub(r"//[^/?#]*@", "//", re.split("[?#]", url)[0])[:200]


def _local(image: Any) -> ImageFile:
    """The file of an image that needs no network."""
    if isinstance(image, (str, os.PathLike)):
        return _of_path(Path(os.fspath(image)))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return ImageFile(bytes(image), None)
    if isinstance(image, np.ndarray):
        return ImageFile(_of_array(image), None)
    pil = sys.modules.get("PIL.Image")  # who has an image of PIL has imported it
    if pil is not None and isinstance(image, pil.Image):
        return ImageFile(_of_pil(image), _base_name(getattr(image, "filename", None)))
    if callable(getattr(image, "read", None)):
        return _of_file(image)
    raise InputError(
        "This is not an image that can be sent.", received=_kind(image), allowed=ALLOWED,
        fix="Convert it, for example by numpy.asarray(image).",
    )  # fmt: skip


def _of_path(path: Path) -> ImageFile:
    try:
        return ImageFile(path.read_bytes(), path.name)
    except FileNotFoundError as error:
        raise InputError(
            "There is no such image file.", received=str(path), allowed="the path of an image file",
            fix=f"Check the path: {path.absolute()}.",
        ) from error  # fmt: skip
    except IsADirectoryError as error:
        raise InputError(
            "This is a folder, not an image file.", received=str(path), allowed="an image file",
            fix="Send its files: client.segment_many(sorted(folder.glob('*.jpg'))).",
        ) from error  # fmt: skip
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise InputError(
            "The image file cannot be read.", received=f"{path}: {error}", allowed="an image file"
        ) from error


def _of_file(file: Any) -> ImageFile:
    try:
        content = file.read()
    except (OSError, ValueError) as error:  # ValueError: it is closed
        raise InputError(
            "The file object cannot be read.", received=str(error), allowed="an open binary file",
            fix='Open it with "rb", and close it after the call.',
        ) from error  # fmt: skip
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise InputError(
            "The file object gives no bytes.", received=_kind(content), allowed=ALLOWED, fix='Open the file with "rb".'
        )
    return ImageFile(bytes(content), _base_name(getattr(file, "name", None)))


def _of_array(array: NDArray[Any]) -> bytes:
    received = f"an array of {array.dtype} with shape {array.shape}"
    if array.dtype.type not in (np.uint8, np.uint16):
        fix = {
            "b": "Convert it: array.astype(numpy.uint8) * 255.",
            "f": "Convert it: (array.clip(0, 1) * 255).round().astype(numpy.uint8), if its values are 0 to 1.",
        }.get(array.dtype.kind, "Convert it to uint8 or uint16.")
        raise InputError(
            "The values of the array are not those of an image.", received=received, allowed=ALLOWED, fix=fix
        )
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or 0 in array.shape:
        first = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        fix = (
            "Move the channels to the end: numpy.moveaxis(array, 0, -1)."
            if first
            else "Select the image, or its channels."
        )
        raise InputError("The shape of the array is not that of an image.", received=received, allowed=ALLOWED, fix=fix)
    return png(array)


def _of_pil(image: Any) -> bytes:
    """A PNG of the pixels, written by Pillow."""
    if image.mode == "F" or image.mode in _DEEP_MODES:
        return _of_array(_deep(image))
    try:
        return _written(image)
    except (OSError, ValueError) as error:  # it is closed, its file is damaged, or its mode has no colors of a PNG
        raise InputError(
            "The PIL image cannot be read or converted.", received=f"mode {image.mode}: {error}", allowed=ALLOWED,
            fix="Open it again, or convert it: image.convert('RGB').",
        ) from error  # fmt: skip


def _deep(image: Any) -> NDArray[Any]:
    """The pixels of an image with integers of 16 or 32 bits; as uint16 if they fit."""
    pixels = np.asarray(image)
    fits = pixels.dtype.kind in "iu" and pixels.min(initial=0) >= 0 and pixels.max(initial=0) <= np.iinfo(np.uint16).max
    return pixels.astype(np.uint16) if fits else pixels


def _written(image: Any) -> bytes:
    file = BytesIO()
    plain = image if image.mode in _PNG_MODES else image.convert("RGBA" if "A" in image.mode else "RGB")
    if image.mode == "P":
        plain = image.convert("RGBA" if "transparency" in image.info else "RGB")
    plain.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _base_name(name: object) -> str | None:
    """The last part of a file's name; None: it has none."""
    return (Path(name).name or None) if isinstance(name, str) else None


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
