"""The format `geojson`: images with a GeoJSON each (https://www.rfc-editor.org/rfc/rfc7946)."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from model_store.images import SUFFIXES
from model_store.labelled.base import Region
from model_store.labelled.class_lists import listed_classes
from model_store.labelled.documents import beginning
from model_store.labelled.drawn import Drawing, DrawnImages, by_part, files_below, not_used, part_of
from model_store.labelled.geojson_layer import Layer, read_features
from model_store.labelled.geotransform import map_place, world_suffixes
from model_store.labelled.palette import Colour
from model_store.labelled.shapes import Polygon
from model_store.labelled.survey import is_leftover, stem_key

_BESIDE_IMAGES = frozenset(ending for suffix in SUFFIXES for ending in world_suffixes(suffix))


class GeoJson(DrawnImages):
    """Images with a .geojson of their name beside them or in another folder; or one image and one GeoJSON.

    Polygons and multipolygons, with holes, are used, also those of collections; points and lines are not. The file is a
    collection of features, a list of them as QuPath exports it, or one feature. Later features cover earlier ones, and
    pixels in no feature are unlabelled.

    The class is the first of these properties that a feature has: classification (its name or names, as QuPath writes
    it), class, class_name, label, category, name. The classes are in alphabetical order, with QuPath's colours.

    Coordinates are those of the map, if the image has a place on it (GeoTIFF or a world file) and they lie there;
    otherwise pixels, and (0, 0) is the outer corner of the first one. They are not converted from one reference system
    to another.

    The splits are folders with usual names (train, val, test); without any, every split is the whole.

    Raises:
        ValueError: if a file is missing or wrong; the message names it. Reading labels also raises it: if the
            coordinates lie in neither extent, or are of another reference system than the image.
    """

    name = "geojson"

    @classmethod
    def found(cls, root: Path) -> bool:
        if root.is_file():
            return root.suffix.lower() in (".geojson", ".json") and _is_geojson(root)
        files = (file for pattern in ("*.geojson", "*/*.geojson") for file in sorted(root.glob(pattern)))
        return any(_is_geojson(file) for file in files if not is_leftover(file.relative_to(root)))

    def __init__(self, root: Path, split: str) -> None:
        super().__init__(root, split)
        self.layers: dict[Path, Layer] = {}
        self._colours: dict[str, Colour] = {}
        folder = self.survey.folder
        images, files = files_below(folder, self.survey, ".geojson", known=_BESIDE_IMAGES)
        if root.is_file():
            files, images = [root], [image for image in images if image.parent == folder]
        drawings = [self._read(image, file) for image, file in self._pairs(images, files)]
        names = sorted({name for drawing in drawings for name, _ in drawing.shapes})
        if not names:
            reasons = [*self.survey.lines(3), *(not_used(n, "shape", reason) for reason, n in self.unused.items())]
            raise ValueError(f"{root} has no polygon with a class that can be used. {'; '.join(reasons)}")
        classes = listed_classes(root, names, self._colours)
        self.finish(drawings, classes, images=by_part(images, folder) if root.is_dir() else None)

    def regions(self, i: int, size: tuple[int, int]) -> Iterable[Region]:
        drawing = self.drawings[i]
        place = self.layers[drawing.file].pixels(size)
        if place is not None:
            moved = [(name, shape) for name, shape in drawing.shapes if isinstance(shape, Polygon)]
            drawing = drawing._replace(
                shapes=[(name, Polygon(tuple(map(place.to_pixels, shape.rings)))) for name, shape in moved]
            )
        return self.drawn(drawing, size)

    def _pairs(self, images: list[Path], files: list[Path]) -> Iterator[tuple[Path, Path]]:
        """Images and their GeoJSON, image.geojson or image.tif.geojson for image.tif."""
        if len(images) == len(files) == 1:
            yield images[0], files[0]
            return
        by_name: dict[str, list[Path]] = {}
        for image in images:
            for name in {stem_key(image.name), stem_key(image.stem)}:
                by_name.setdefault(name, []).append(image)
        for file in files:
            alike = by_name.get(stem_key(file.stem), [])
            beside = [image for image in alike if image.parent == file.parent] or alike
            if len(beside) == 1:
                yield beside[0], file
            else:
                self.survey.skip(file, f"{len(beside) or 'no'} image{'s' if beside else ''} of its name")

    def _read(self, image: Path, file: Path) -> Drawing:
        features, epsg = read_features(file)
        shapes = []
        for feature in features:
            for reason in feature.unused:
                self.unused[reason] += 1
            if feature.name is not None:
                shapes += [(feature.name, Polygon(rings)) for rings in feature.polygons]
                if feature.colour is not None:
                    self._colours.setdefault(feature.name, feature.colour)
        if shapes:
            points = np.concatenate([ring for _, polygon in shapes for ring in polygon.rings])
            self.layers[file] = Layer(file, epsg, map_place(image), points)
        return Drawing(image, file, None, shapes, part_of(image, self.survey.folder))


def _is_geojson(file: Path) -> bool:
    text = beginning(file)
    return bool(re.match(r"\s*[\[{]", text) and re.search(r'"type"\s*:\s*"(FeatureCollection|Feature)"', text))
