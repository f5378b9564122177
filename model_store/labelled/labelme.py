"""The format `labelme`: one JSON for each image, as labelme writes it (https://github.com/wkentaro/labelme)."""

import re
from pathlib import Path

import numpy as np
from pydantic import Field, TypeAdapter

from model_store.class_info import ClassInfo
from model_store.images import decode
from model_store.labelled.class_lists import listed_classes, read_names
from model_store.labelled.documents import Document, Point, beginning, conform, from_base64, read_json, shortened
from model_store.labelled.drawn import Drawing, DrawnImages, by_part, files_below, locate, part_of
from model_store.labelled.matching import NamedImages
from model_store.labelled.samples import IGNORE, Photograph
from model_store.labelled.shapes import Ellipse, EncodedMask, Polygon, Shape, box
from model_store.labelled.survey import is_leftover

IGNORED, BACKGROUND = "__ignore__", "_background_"  # names of labelme's script labelme2voc
LABELS = "labels.txt"
_CORNERED = ("oriented_rectangle", "rotation")  # rectangles with four corners, of labelme and of X-AnyLabeling
_LOOKED_AT = 8  # files for the detection


class _Shape(Document):
    label: str
    points: list[Point]
    shape_type: str | None = "polygon"
    mask: str | None = None


class _File(Document):
    shapes: list[_Shape]
    image_path: str | None = Field(default=None, alias="imagePath")
    image_data: str | None = Field(default=None, alias="imageData")
    height: int | None = Field(default=None, alias="imageHeight")
    width: int | None = Field(default=None, alias="imageWidth")


_MODEL = TypeAdapter(_File)


class LabelMe(DrawnImages):
    """Images with one JSON each, in one folder or below it, or a single JSON.

    Polygons, rectangles (also with four corners), circles and masks are used; lines, line strips and points are not.
    Points are (x, y) in pixels, and (0, 0) is the outer corner of the first pixel. The image is the file that the JSON
    names; if there is none, it is taken from the JSON. Pixels with the label `__ignore__` are unlabelled.

    A file labels.txt in the folder, as the script labelme2voc reads it, lists the classes; `__ignore__` in it is none,
    and if it has `_background_`, this is the class of pixels in no shape. Without the file, the classes are the labels
    in alphabetical order, and pixels in no shape are unlabelled.

    The splits are folders with usual names (train, val, test); without any, every split is the whole.

    Raises:
        ValueError: if a file is missing or wrong; the message names it.
    """

    name = "labelme"

    @classmethod
    def found(cls, root: Path) -> bool:
        if root.is_file():
            return root.suffix.lower() == ".json" and _is_labelme(root)
        for pattern in ("*.json", "*/*.json"):
            files = [file for file in sorted(root.glob(pattern)) if not is_leftover(file.relative_to(root))]
            if any(map(_is_labelme, files[:_LOOKED_AT])):
                return True
        return False

    def __init__(self, root: Path, split: str) -> None:
        super().__init__(root, split)
        if not root.exists():
            raise ValueError(f"{root} does not exist; give the folder with the files of labelme, or one of them")
        folder = self.survey.folder
        images, files = files_below(folder, self.survey, ".json", known=(LABELS,))
        if root.is_file():
            files, images = [root], [image for image in images if image.parent == folder]
        named = NamedImages(folder, images)
        drawings = [drawing for file in files if (drawing := self._read(file, named)) is not None]
        classes = self._classes(drawings)
        self.finish(drawings, classes, {IGNORED: IGNORE}, by_part(images, folder) if root.is_dir() else None)

    def photograph(self, i: int) -> Photograph:
        image, file = self.drawings[i].image, self.drawings[i].file
        if image != file:
            return super().photograph(i)
        data = conform(read_json(file), _MODEL, file).image_data or ""
        try:
            decoded = decode(from_base64(data, file))
        except ValueError as fault:
            raise ValueError(f'{file}: "imageData" cannot be read as an image. {fault}') from fault
        self.survey.convert(file, decoded.conversion)
        return Photograph(decoded.pixels, f"{self.name}/{self.split}/{file.stem}")

    def _read(self, file: Path, images: NamedImages) -> Drawing | None:
        """The drawing of a file; None, if it has no shapes or its image is missing."""
        content = read_json(file)
        if not isinstance(content, dict) or "shapes" not in content:
            self.survey.skip(file, "no JSON of labelme")
            return None
        document = conform(content, _MODEL, file)
        name = document.image_path or f"{file.stem}.png"
        image = locate(images, name, file.parent.relative_to(self.survey.folder).as_posix())
        if image is None and document.image_data is None:
            self.survey.skip(file, f"no image {shortened(name)}")
            return None
        size = (document.height, document.width) if document.height and document.width else None
        shapes = [(entry.label, shape) for i, entry in enumerate(document.shapes)
                  if (shape := self._shape(entry, f"{file}: shapes[{i}]")) is not None]  # fmt: skip
        return Drawing(image or file, file, size, shapes, part_of(file, self.survey.folder))

    def _shape(self, entry: _Shape, place: str) -> Shape | None:
        """The shape of an entry; None, if it cannot be used."""
        kind, points = entry.shape_type or "polygon", np.array(entry.points, dtype=np.float64).reshape(-1, 2)
        if kind == "polygon" or (kind in ("rectangle", *_CORNERED) and len(points) == 4):
            if len(points) >= 3:
                return Polygon((points,))
        elif kind == "rectangle" and len(points) == 2:
            return Polygon((box(*points[0], *points[1]),))
        elif kind == "circle" and len(points) == 2:
            radius = float(np.linalg.norm(points[1] - points[0]))
            if radius > 0:
                return Ellipse((float(points[0, 0]), float(points[0, 1])), (radius, radius))
        elif kind == "mask" and len(points) == 2:
            return _mask(entry, points, place)
        elif kind not in ("rectangle", "circle", "mask", *_CORNERED):
            self.unused[f"kind {kind}"] += 1
            return None
        self.unused[f"{kind} of {len(points)} points"] += 1
        return None

    def _classes(self, drawings: list[Drawing]) -> tuple[ClassInfo, ...]:
        file = self.survey.folder / LABELS
        if not file.is_file():
            names = sorted({name for drawing in drawings for name, _ in drawing.shapes} - {IGNORED})
            if not names:
                raise ValueError(f"{self.root} has no shapes of labelme that can be used. "
                                 f"{'; '.join(self.survey.lines(3))}")  # fmt: skip
            return listed_classes(self.root, names)
        names = [name for name in read_names(file) if name != IGNORED]
        self.background = names.index(BACKGROUND) if BACKGROUND in names else None
        return listed_classes(file, names)


def _is_labelme(file: Path) -> bool:
    text = beginning(file)
    return bool(re.match(r"\s*\{", text) and re.search(r'"shapes"\s*:\s*\[', text)
                and re.search(r'"(shape_type|imagePath|imageHeight|lineColor)"', text))  # fmt: skip


def _mask(entry: _Shape, points: np.ndarray, place: str) -> EncodedMask:
    """A mask at the box between two pixels, both included. Of a box between pixels, only the corner counts."""
    if entry.mask is None:
        raise ValueError(f'{place} is of the kind mask without "mask"; it must be a PNG in base64')
    (left, top), (right, bottom) = points.round().astype(int).tolist()
    extent = (bottom - top + 1, right - left + 1) if (points == points.round()).all() else None
    return EncodedMask(from_base64(entry.mask, place), (top, left), extent)
