"""The content of a GeoJSON (https://www.rfc-editor.org/rfc/rfc7946): polygons, their classes, and their coordinates."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter

from model_store.labelled.documents import LARGEST, Document, conform, read_json, shortened
from model_store.labelled.geotransform import MapPlace, epsg_of
from model_store.labelled.palette import Colour

PROPERTIES = ("classification", "class", "class_name", "label", "category", "name")  # that may have the class
_DEGREES = (180.0, 90.0)  # largest longitude and latitude
_SPAN = 2.0  # degrees that labels of one image span at most

Rings = tuple[np.ndarray, ...]  # each [N, 2] (x, y): an outline and its holes


class _Geometry(Document):
    type: str
    coordinates: Any = None
    geometries: list["_Geometry"] | None = None


class _Feature(Document):
    type: str
    geometry: _Geometry | None = None
    properties: dict[str, Any] | None = None


_FEATURES, _OBJECT = TypeAdapter(list[_Feature]), TypeAdapter(dict[str, Any])


class Found(NamedTuple):
    """The polygons of a feature.

    name: of its class, None: it has none; colour: of the class, None: not stated; polygons: as rings; unused: reasons
    why parts of it are not used.
    """

    name: str | None
    colour: Colour | None
    polygons: list[Rings]
    unused: list[str]


class Layer(NamedTuple):
    """Where the coordinates of a GeoJSON are.

    file: for messages; epsg: the reference system that it states, None: none; place: of the image on the map, None: it
    is on none; points: [N, 2] all coordinates (x, y).
    """

    file: Path
    epsg: int | None
    place: MapPlace | None
    points: np.ndarray

    def pixels(self, size: tuple[int, int]) -> MapPlace | None:
        """What converts the coordinates to pixels of an image of `size` (H, W); None, if they are pixels.

        They are of the map, if at least half of the points lie in the extent of the image on the map, or if some do and
        none lies in the extent of the pixels.

        Raises:
            ValueError: if the GeoJSON states another reference system than the image has, if the points lie in neither
                extent, or if they are degrees and the image is not.
        """
        place, extent = self.place, np.array([(0.0, 0.0), size[::-1]])
        if place is not None and self.epsg is not None and place.epsg not in (None, self.epsg):
            raise self._foreign(f"is in EPSG:{self.epsg}, and its image in EPSG:{place.epsg}")
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        in_pixels = _share(self.points, extent)
        if place is not None:
            on_map = _share(place.to_pixels(self.points), extent)
            if on_map >= 0.5 or (on_map > 0 and (in_pixels == 0 or self._is_degrees())):
                return place
        if self._is_degrees() and min(size) > _SPAN:
            raise self._foreign("has degrees of WGS 84, and its image has not")
        if in_pixels > 0 and (place is None or self.epsg is None):
            return None
        on_map_too = "" if place is None else f", nor in its place on the map, {_written(place.extent(size))}"
        raise ValueError(
            f"{self.file} has the coordinates {_written(np.stack([low, high]))}, which lie neither in the pixels of "
            f"its image, {_written(extent)}{on_map_too}; use the coordinates of this image"
        )

    def _is_degrees(self) -> bool:
        span = self.points.max(axis=0) - self.points.min(axis=0)
        return bool((np.abs(self.points) <= _DEGREES).all() and (span < _SPAN).all())

    def _foreign(self, what: str) -> ValueError:
        if self.place is None:
            fix = "add a world file or the tags of GeoTIFF to the image, or convert the coordinates to pixels"
        else:
            target = f"EPSG:{self.place.epsg}" if self.place.epsg is not None else "SYSTEM_OF_THE_IMAGE"
            fix = f"convert it, for example by: ogr2ogr -t_srs {target} OUT.geojson {self.file.name}"
        return ValueError(f"{self.file} {what}; {fix}")


def read_features(file: Path) -> tuple[list[Found], int | None]:
    """The features of a GeoJSON, and the EPSG code of the reference system that it states.

    Args:
        file: a collection of features, a list of them as QuPath exports it, or one feature.

    Raises:
        ValueError: if the file is malformed. The message names it.
    """
    content = read_json(file)
    top = content if isinstance(content, dict) else {"type": "FeatureCollection", "features": content}
    kind = top.get("type")
    if kind not in ("FeatureCollection", "Feature"):
        raise ValueError(f"{file} has the type {shortened(kind)}; FeatureCollection or Feature is needed")
    entries = conform([top] if kind == "Feature" else top.get("features"), _FEATURES, f"{file}: features")
    found = [_feature(entry, f"{file}: features[{i}]") for i, entry in enumerate(entries)]
    return found, _system(top.get("crs"))


def _system(entry: Any) -> int | None:
    """The EPSG code of "crs", which the first version of GeoJSON had."""
    properties = entry.get("properties") if isinstance(entry, dict) else None
    if not isinstance(properties, dict):
        return None
    name, code = properties.get("name"), properties.get("code")
    return epsg_of(name) if isinstance(name, str) else code if isinstance(code, int) else None


def _feature(entry: _Feature, place: str) -> Found:
    properties = {key.lower(): value for key, value in (entry.properties or {}).items()}
    names = PROPERTIES[:1] if "objecttype" in properties else PROPERTIES  # QuPath's "name" is that of the object
    name = next((text for key in names if (text := _text(properties.get(key))) is not None), None)
    unused: list[str] = []
    polygons = list(_polygons(entry.geometry, place, unused))
    if name is None:
        unused += [f"none of the properties {', '.join(PROPERTIES)}"] * len(polygons)
    return Found(name, _colour(properties.get("classification")), polygons, unused)


def _text(value: Any) -> str | None:
    """The name of a class; None, if it is none."""
    if isinstance(value, dict):  # QuPath's classification
        names = value.get("names")
        value = value.get("name") or (": ".join(map(str, names)) if isinstance(names, list) else None)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None if isinstance(value, str | int) and not isinstance(value, bool) else None


def _colour(value: Any) -> Colour | None:
    """QuPath's colour of a class, as [red, green, blue] or as a number of 32 bits."""
    stated = value if isinstance(value, dict) else {}
    parts, code = stated.get("color"), stated.get("colorRGB")
    if isinstance(parts, list) and len(parts) == 3 and all(type(part) is int and 0 <= part < 256 for part in parts):
        return parts[0], parts[1], parts[2]
    return ((code >> 16) & 255, (code >> 8) & 255, code & 255) if type(code) is int else None


def _polygons(geometry: _Geometry | None, place: str, unused: list[str]) -> Iterator[Rings]:
    kind = None if geometry is None else geometry.type
    if geometry is None or kind not in ("Polygon", "MultiPolygon", "GeometryCollection"):
        unused.append(f"kind {kind}")
    elif kind == "GeometryCollection":
        for part in geometry.geometries or []:
            yield from _polygons(part, place, unused)
    else:
        polygons = [geometry.coordinates] if kind == "Polygon" else geometry.coordinates
        for polygon in _listed(polygons, f"{place}.geometry.coordinates"):
            rings = [_ring(ring, place) for ring in _listed(polygon, f"{place}.geometry.coordinates")]
            large = [ring for ring in rings if len(ring) >= 3]
            if len(large) < len(rings):
                unused.append("ring with fewer than three points")
            if rings and len(rings[0]) >= 3:
                yield tuple(large)


def _listed(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{place} has {shortened(value)}; a list is needed, of rings for Polygon, of these for "
                         "MultiPolygon")  # fmt: skip
    return value


def _ring(value: Any, place: str) -> np.ndarray:
    """A ring as [N, 2], without its last point, which is the first one again."""
    try:
        points = np.array([point[:2] for point in value], dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError, OverflowError):
        points = np.full((1, 2), np.nan)
    if not (np.abs(points) <= LARGEST).all():  # nor if one is nan
        raise ValueError(f"{place} has the ring {shortened(value)}; a list of [x, y] is needed")
    return points[:-1] if len(points) > 1 and (points[0] == points[-1]).all() else points


def _share(points: np.ndarray, extent: np.ndarray) -> float:
    """Share of the points within an extent [2, 2] of low and high (x, y)."""
    return float(((points >= extent[0]) & (points <= extent[1])).all(axis=1).mean())


def _written(extent: np.ndarray) -> str:
    (left, low), (right, high) = extent.tolist()
    return f"x {left:.10g}..{right:.10g}, y {low:.10g}..{high:.10g}"
