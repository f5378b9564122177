"""The format `cvat`: "CVAT for images 1.1" (https://docs.cvat.ai/docs/other/xml_format)."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from model_store.class_info import ClassInfo
from model_store.images import SUFFIXES
from model_store.labelled.class_lists import listed_classes
from model_store.labelled.documents import LARGEST, beginning, shortened
from model_store.labelled.drawn import Drawing, DrawnImages, files_below
from model_store.labelled.matching import NamedImages
from model_store.labelled.palette import Colour
from model_store.labelled.shapes import Ellipse, Polygon, RunLengths, Shape, box, rotated
from model_store.labelled.splits import WHOLE

ANNOTATIONS = "annotations.xml"
AREAS = ("polygon", "box", "mask", "ellipse")
_WITHOUT_AREA = ("polyline", "points", "cuboid", "skeleton", "tag")
_DEFAULT = "default"  # subset of tasks without one


class Cvat(DrawnImages):
    """A folder with annotations.xml and images/, or an XML of this format beside images.

    Polygons, boxes, masks and ellipses are used, the last three with their rotation; polylines, points, cuboids,
    skeletons and tags are not. Coordinates are in pixels, and (0, 0) is the outer corner of the first pixel. A shape
    with a higher z_order covers those with a lower one, and of one z_order the later shape covers the earlier ones.
    Pixels in no shape are unlabelled.

    The classes and their colours are the labels of <meta> that can have an area; without <meta>, the labels of the
    shapes in alphabetical order. The splits are the subsets of a project; a task has no splits.

    Raises:
        ValueError: if a file is missing or wrong, or of "CVAT for video"; the message names it.
    """

    name = "cvat"

    @classmethod
    def found(cls, root: Path) -> bool:
        return _annotation_file(root) is not None

    def __init__(self, root: Path, split: str) -> None:
        super().__init__(root, split)
        file = _annotation_file(root)
        if file is None:
            raise ValueError(f"{root} has no {ANNOTATIONS}; give the folder of an export as CVAT for images 1.1")
        document = read_xml(file)
        elements = document.findall("image")
        if not elements and document.find("track") is not None:
            raise ValueError(f"{file} is of CVAT for video; export the task as CVAT for images 1.1")
        images, others = files_below(self.survey.folder, self.survey, ".xml")
        for other in others:
            if other != file:
                self.survey.skip(other, f"not {file.name}")
        named = NamedImages(self.survey.folder, images)
        drawings = [drawing for element in elements if (drawing := self._read(file, element, named)) is not None]
        if {drawing.part for drawing in drawings} <= {_DEFAULT}:
            drawings = [drawing._replace(part=WHOLE) for drawing in drawings]
        listed = {drawing.image for drawing in drawings}
        self.finish(drawings, self._classes(file, document, drawings))
        for image in images:
            if image not in listed:
                self.survey.skip(image, "not named by the XML")

    def _read(self, file: Path, element: Element, images: NamedImages) -> Drawing | None:
        """The drawing of an <image>; None, if the image is missing."""
        name, subset = element.get("name", ""), element.get("subset", "")
        place = f"{file}: the image {shortened(name)}"
        size = (_whole(element, "height", place), _whole(element, "width", place))
        image = _image(images, name, subset)
        if image is None:
            self.survey.skip(self.survey.folder / "images" / subset / name, "named by the XML, but missing")
            return None
        found: list[tuple[int, str, Shape]] = []
        for shape in element:
            if shape.tag in AREAS:
                found += self._shape(shape, size, place)
            elif shape.tag in _WITHOUT_AREA:
                self.unused[f"kind {shape.tag}"] += 1
        found.sort(key=lambda entry: entry[0])  # by z_order
        return Drawing(image, file, size, [(label, shape) for _, label, shape in found], subset or WHOLE)

    def _shape(self, element: Element, size: tuple[int, int], place: str) -> Iterator[tuple[int, str, Shape]]:
        """z_order, label and shape of an element; nothing, if it cannot be used."""
        label, place = element.get("label"), f"{place}, <{element.tag}>"
        if not label:
            _refuse(element, "label", place, "a name")
        order = _whole(element, "z_order", place, 0)
        shape = _area(element, size, place)
        if shape is None:
            self.unused[f"{element.tag} with fewer than three points, or without extent"] += 1
        else:
            yield order, label, shape

    def _classes(self, file: Path, document: Element, drawings: list[Drawing]) -> tuple[ClassInfo, ...]:
        names, colours = [], {}
        for label in document.iterfind("meta//labels/label"):
            name, kind = label.findtext("name", ""), label.findtext("type", "any")
            if kind in _WITHOUT_AREA or label.find("parent") is not None:
                continue
            names.append(name)
            if (colour := _colour(label.findtext("color", ""))) is not None:
                colours[name] = colour
        if not names:
            names = sorted({name for drawing in drawings for name, _ in drawing.shapes})
        return listed_classes(file, list(dict.fromkeys(names)), colours)


def read_xml(file: Path) -> Element:
    """The root of an XML file without a document type, so that it has no entities.

    Raises:
        ValueError: if it cannot be read, or has a document type. The message names the file.
    """
    try:
        return ElementTree.fromstring(file.read_bytes(), parser=ElementTree.XMLParser(target=_Builder()))
    except (OSError, ValueError, LookupError, ElementTree.ParseError) as error:
        raise ValueError(f"{file} cannot be read as XML ({error})") from error


class _Builder(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("it has a <!DOCTYPE>, which is not allowed; remove it")


def _annotation_file(root: Path) -> Path | None:
    """annotations.xml of a folder, or the only other XML of this format."""
    if root.is_file():
        return root if root.suffix.lower() == ".xml" and _is_cvat(root) else None
    if (root / ANNOTATIONS).is_file():
        return root / ANNOTATIONS if _is_cvat(root / ANNOTATIONS) else None
    files = [file for file in sorted(root.glob("*.xml"))[:8] if _is_cvat(file)]
    return files[0] if len(files) == 1 else None


def _is_cvat(file: Path) -> bool:
    text = beginning(file)
    return bool(re.search(r"<annotations[\s>]", text) and re.search(r"<(meta|image|track|version)[\s>]", text))


def _image(images: NamedImages, name: str, subset: str) -> Path | None:
    """The file of an image. Frames of a video have names without a suffix."""
    names = [name] if Path(name).suffix.lower() in SUFFIXES else [name, *(name + suffix for suffix in SUFFIXES)]
    for folder in dict.fromkeys((f"images/{subset}/" if subset else "images/", "images/")):
        for candidate in names:
            if (file := images.find(folder + candidate)) is not None:
                return file
    return None


def _area(element: Element, size: tuple[int, int], place: str) -> Shape | None:
    """The shape of an element; None, if it has too few points or no extent."""
    if element.tag == "polygon":
        points = _points(element, place)
        return Polygon((points,)) if len(points) >= 3 else None
    turn = _number(element, "rotation", place, 0.0)
    if element.tag == "box":
        left, top, right, bottom = (_number(element, side, place) for side in ("xtl", "ytl", "xbr", "ybr"))
        return Polygon((rotated(box(left, top, right, bottom), turn, ((left + right) / 2, (top + bottom) / 2)),))
    if element.tag == "ellipse":
        x, y, rx, ry = (_number(element, part, place) for part in ("cx", "cy", "rx", "ry"))
        return Ellipse((x, y), (rx, ry), turn) if rx > 0 and ry > 0 else None
    return _mask(element, size, place)


def _mask(element: Element, size: tuple[int, int], place: str) -> RunLengths:
    left, top, width, height = (_whole(element, part, place) for part in ("left", "top", "width", "height"))
    text = element.get("rle", "")
    try:
        counts = np.array([int(part) for part in text.split(",")], dtype=np.int64)
    except (ValueError, OverflowError):
        _refuse(element, "rle", place, "whole numbers with commas")
    inside = 0 < width <= size[1] and 0 < height <= size[0]
    if not inside or (counts < 0).any() or sum(counts.tolist()) != width * height:
        raise ValueError(
            f"{place} has runs of {sum(counts.tolist())} pixels for {width}x{height} pixels; these numbers must be "
            f"equal, and the mask at most as large as the image, {size[1]}x{size[0]}"
        )
    return RunLengths(counts, (top, left), (height, width))


def _points(element: Element, place: str) -> np.ndarray:
    text = element.get("points", "")
    try:
        points = np.array([[float(part) for part in pair.split(",")] for pair in text.split(";")], dtype=np.float64)
    except ValueError:
        _refuse(element, "points", place, "x,y;x,y;...")
    if points.ndim != 2 or points.shape[1] != 2 or not (np.abs(points) <= LARGEST).all():
        _refuse(element, "points", place, "x,y;x,y;...")
    return points


def _number(element: Element, name: str, place: str, default: float | None = None) -> float:
    text = element.get(name)
    if text is None and default is not None:
        return default
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not abs(value) <= LARGEST:  # nor if it is nan
        _refuse(element, name, place, "a number")
    return value


def _whole(element: Element, name: str, place: str, default: int | None = None) -> int:
    value = _number(element, name, place, default)
    if value != int(value):
        _refuse(element, name, place, "a whole number")
    return int(value)


def _refuse(element: Element, name: str, place: str, allowed: str) -> NoReturn:
    raise ValueError(f'{place} has {name}="{(element.get(name) or "")[:60]}"; {allowed} is needed')


def _colour(text: str) -> Colour | None:
    """A colour as "#fa3253"; None, if it is not."""
    if not re.fullmatch(r"#[0-9A-Fa-f]{6}", text.strip()):
        return None
    red, green, blue = bytes.fromhex(text.strip()[1:])
    return red, green, blue
