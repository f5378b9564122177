"""The format `supervisely`: a project folder
(https://developer.supervisely.com/getting-started/supervisely-annotation-format/project-structure).
"""

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field, TypeAdapter

from model_store.class_info import ClassInfo
from model_store.images import SUFFIXES
from model_store.labelled.class_lists import listed_classes
from model_store.labelled.documents import Document, Point, beginning, conform, from_base64, read_json
from model_store.labelled.drawn import Drawing, DrawnImages
from model_store.labelled.palette import Colour
from model_store.labelled.polygons import fill_rings
from model_store.labelled.shapes import EncodedMask, Patch, Polygon, Shape, box, window
from model_store.labelled.splits import WHOLE
from model_store.labelled.survey import image_files, is_leftover, stem_key

META = "meta.json"
_WITHOUT_AREA = ("point", "line", "polyline", "graph", "cuboid", "cuboid_3d", "cuboid_2d")
_MOST_BYTES = 1 << 28  # of a decompressed bitmap
_FARTHEST = 1_000_000  # pixels from the part of the image that a polygon covers; longer sides take much memory


class _Class(Document):
    title: str
    shape: str = "any"
    color: str = ""


class _Meta(Document):
    classes: list[_Class]


class _Rings(Document):
    exterior: list[Point] = Field(default_factory=list)
    interior: list[list[Point]] = Field(default_factory=list)


class _Bitmap(Document):
    data: str
    origin: Point


class _Object(Document):
    title: str = Field(alias="classTitle")
    kind: str | None = Field(default=None, alias="geometryType")
    points: Any = None
    parts: list[_Rings] = Field(default_factory=list)
    bitmap: _Bitmap | None = None


class _Size(Document):
    height: int
    width: int


class _Annotation(Document):
    size: _Size
    objects: list[_Object]


_META, _ANNOTATION, _RINGS = TypeAdapter(_Meta), TypeAdapter(_Annotation), TypeAdapter(_Rings)


class Supervisely(DrawnImages):
    """A project: meta.json, and folders of data sets with img/ and ann/, where NAME.json has the labels of img/NAME.

    Polygons (with holes), multipolygons, bitmaps and rectangles are used; points, lines, graphs, cuboids and alpha
    masks are not. Later objects cover earlier ones, and pixels in no object are unlabelled.

    Exports have whole numbers, which are the pixels themselves: a polygon covers the pixels of its outline, a hole
    removes those of its outline, and a rectangle covers its last row and column, as Supervisely's SDK draws them
    (https://developer.supervisely.com/app-development/advanced/coordinate-system). In a file that has other numbers,
    (0, 0) is the outer corner of the first pixel.

    The classes and their colours are those of meta.json that can have an area. The splits are the data sets, nested
    ones with "/"; with a single data set, every split is the whole.

    Raises:
        ValueError: if a file is missing or wrong; the message names it.
    """

    name = "supervisely"

    @classmethod
    def found(cls, root: Path) -> bool:
        text = beginning(root / META)
        return bool(re.match(r"\s*\{", text) and re.search(r'"classes"\s*:\s*\[', text)) and any(
            any(root.glob(pattern)) for pattern in ("*/ann", "*/datasets/*/ann")
        )

    def __init__(self, root: Path, split: str) -> None:
        super().__init__(root, split)
        meta = conform(read_json(root / META), _META, root / META)
        self._kinds = {info.title: info.shape for info in meta.classes}
        classes = _classes(root / META, meta)
        sets = dict(_data_sets(root))
        images = {(name if len(sets) > 1 else WHOLE): _images(folder, self) for name, folder in sets.items()}
        drawings = [
            drawing
            for (part, files), folder in zip(images.items(), sets.values(), strict=True)
            for drawing in self._drawings(folder, files, part)
        ]
        self.finish(drawings, classes, images=images)

    def _drawings(self, folder: Path, images: list[Path], part: str) -> Iterator[Drawing]:
        by_name = {stem_key(image.name): image for image in images}
        by_stem = {stem_key(image.stem): image for image in images}
        for file in sorted((folder / "ann").glob("*")):
            if is_leftover(Path(file.name)) or file.suffix.lower() != ".json":
                self.survey.skip(file, "no annotation by its name")
                continue
            image = by_name.get(stem_key(file.stem)) or by_stem.get(stem_key(file.stem))
            if image is None:
                self.survey.skip(file, "labels without an image")
                continue
            document = conform(read_json(file), _ANNOTATION, file)
            shapes = [(entry.title, shape) for i, entry in enumerate(document.objects)
                      for shape in self._shapes(entry, f"{file}: objects[{i}]", _is_whole(document))]  # fmt: skip
            yield Drawing(image, file, (document.size.height, document.size.width), shapes, part)

    def _shapes(self, entry: _Object, place: str, whole: bool) -> Iterator[Shape]:
        """The shapes of an object; nothing, if it cannot be used.

        Args:
            entry: the object.
            place: for messages.
            whole: whether its numbers are the pixels themselves.
        """
        kind = entry.kind or ("bitmap" if entry.bitmap else self._kinds.get(entry.title, "any"))
        if kind == "bitmap":
            if entry.bitmap is None:
                raise ValueError(f'{place} is a bitmap without "bitmap": {{"data": ..., "origin": [x, y]}}; add it')
            (x, y), content = entry.bitmap.origin, from_base64(entry.bitmap.data, place)
            yield EncodedMask(_decompressed(content, place), (int(y // 1), int(x // 1)))
        elif kind in ("polygon", "multipolygon", "rectangle"):
            parts = entry.parts if kind == "multipolygon" else [conform(entry.points, _RINGS, f"{place}.points")]
            for part in parts:
                shape = _rectangle(part, place, whole) if kind == "rectangle" else self._polygon(part, whole)
                if shape is not None:
                    yield shape
        else:
            self.unused[f"kind {kind}"] += 1

    def _polygon(self, part: _Rings, whole: bool) -> Shape | None:
        holes = [np.array(ring, dtype=np.float64) for ring in part.interior if len(ring) >= 3]
        if len(part.exterior) < 3 or len(holes) < len(part.interior):
            self.unused[f"{'polygon' if len(part.exterior) < 3 else 'hole'} with fewer than three points"] += 1
        if len(part.exterior) < 3:
            return None
        outline = np.array(part.exterior, dtype=np.float64)
        if whole:
            return PixelPolygon(outline, tuple(holes))
        return Polygon((outline, *holes))


class PixelPolygon(NamedTuple):
    """A polygon with the pixels of its outline, but without those in or on the outline of its holes.

    outline: [N, 2] whole numbers, each a pixel (column, row); holes: each [N, 2].
    """

    outline: np.ndarray
    holes: tuple[np.ndarray, ...]

    def draw(self, size: tuple[int, int]) -> Patch:
        top, left, height, width = window(self.outline.min(axis=0), self.outline.max(axis=0) + 1, size)
        covered = _with_outline(self.outline - (left, top), (height, width))
        for hole in self.holes:
            covered &= ~_with_outline(hole - (left, top), (height, width))
        return Patch(covered, (top, left))


def _with_outline(ring: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres lie in a ring through centres of pixels, and those along its sides."""
    if np.abs(ring).max() > _FARTHEST:
        raise ValueError(f"a point of a polygon is {np.abs(ring).max():.0f} pixels away; {_FARTHEST} are allowed")
    covered = fill_rings([ring + 0.5], size)
    sides = np.roll(ring, -1, axis=0) - ring
    steps = np.abs(sides).max(axis=1).astype(np.int64)
    side = np.repeat(np.arange(len(ring)), steps + 1)
    step = np.arange(len(side)) - np.repeat(np.cumsum(steps + 1) - steps - 1, steps + 1)
    places = ring[side] + sides[side] * (step / np.maximum(steps, 1)[side])[:, None]
    column, row = np.floor(places + 0.5).astype(np.int64).T
    inside = (column >= 0) & (column < size[1]) & (row >= 0) & (row < size[0])
    covered[row[inside], column[inside]] = True
    return covered


def _rectangle(part: _Rings, place: str, whole: bool) -> Polygon:
    if len(part.exterior) != 2:
        raise ValueError(f'{place} is a rectangle with {len(part.exterior)} points in "exterior"; two are needed')
    (x0, y0), (x1, y1) = part.exterior
    last = 1 if whole else 0
    return Polygon((box(min(x0, x1), min(y0, y1), max(x0, x1) + last, max(y0, y1) + last),))


def _is_whole(document: _Annotation) -> bool:
    """Whether all coordinates of a file are whole numbers."""
    parts = ((entry.points, entry.parts) for entry in document.objects)
    return all(float(value).is_integer() for part in parts for value in _numbers(part))


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, _Rings):
        yield from _numbers((value.exterior, value.interior))
    elif isinstance(value, dict):
        yield from _numbers(list(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _numbers(part)


def _decompressed(content: bytes, place: str) -> bytes:
    """The PNG of a bitmap, which may be compressed once more."""
    if content.startswith(b"\x89PNG"):
        return content
    unpacker = zlib.decompressobj()
    try:
        png = unpacker.decompress(content, _MOST_BYTES)
    except zlib.error as error:
        raise ValueError(f"{place} is a bitmap that is neither a PNG nor a compressed PNG ({error})") from error
    if unpacker.unconsumed_tail:
        raise ValueError(f"{place} is a bitmap of more than {_MOST_BYTES} bytes; make it smaller")
    return png


def _classes(file: Path, meta: _Meta) -> tuple[ClassInfo, ...]:
    used = [info for info in meta.classes if info.shape not in _WITHOUT_AREA]
    colours: dict[str, Colour] = {}
    for info in used:
        if re.fullmatch(r"#[0-9A-Fa-f]{6}", info.color):
            red, green, blue = bytes.fromhex(info.color[1:])
            colours[info.title] = red, green, blue
    return listed_classes(file, [info.title for info in used], colours)


def _data_sets(parent: Path, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """Names and folders of data sets. Nested ones are in a folder "datasets" of the outer one."""
    for folder in sorted(entry for entry in parent.glob("*") if entry.is_dir() and not is_leftover(Path(entry.name))):
        if (folder / "ann").is_dir():
            yield f"{prefix}{folder.name}", folder
        if (folder / "datasets").is_dir():
            yield from _data_sets(folder / "datasets", f"{prefix}{folder.name}/")


def _images(folder: Path, images: DrawnImages) -> list[Path]:
    if not (folder / "img").is_dir():
        raise ValueError(f"{folder} has no folder img; download the project with its images ({', '.join(SUFFIXES)})")
    return image_files(folder / "img", images.survey)
