"""The format `geojson`: segments as features, RFC 7946."""

from typing import Any

import numpy as np
import orjson

from model_store.card import ClassInfo
from model_store.exporting.names import FileName
from model_store.exporting.outlines import outlines_of
from model_store.exporting.results import ExportImage, SegmentShape, class_of, shapes_of
from model_store.exporting.writer import Writer, rounded
from model_store.labelled import MapPlace

_WGS84 = 4326  # the coordinates of RFC 7946, longitude and latitude, which are not named


class GeoJson(Writer):
    """STEM.geojson for each image: a MultiPolygon for each segment, with its holes.

    Coordinates are those of the map if the image has a place on one, otherwise pixels, y downwards. One file for each
    image, because pixels of two images must not be mixed, nor coordinates of two maps. A map that is not WGS 84 is
    named in `crs`, a member of GeoJSON 2008 that GDAL and QGIS read. Segments without a known class are features whose
    `class` is null. `objectType` and `classification` are for QuPath.
    """

    name = "geojson"
    media_type, suffix, images = "application/geo+json", ".geojson", None
    unlabelled = "features whose class is null"
    about = "A FeatureCollection for each image: coordinates of the map if the image has a place on one, else pixels."

    def add(self, image: ExportImage, name: FileName) -> None:
        H, W = image.size
        document: dict[str, Any] = {"type": "FeatureCollection", "name": name.stem}
        document |= {"image": str(name), "image_id": image.image_id, "width": W, "height": H}
        document |= self.options.origin
        if image.place is not None and image.place.epsg not in (None, _WGS84):
            name_of_map = f"urn:ogc:def:crs:EPSG::{image.place.epsg}"
            document["crs"] = {"type": "name", "properties": {"name": name_of_map}}
        document["features"] = [
            _feature(shape, class_of(shape.segment, self.by_id), image, str(name)) for shape in shapes_of(image)
        ]
        self.files.put(f"{name.stem}.geojson", orjson.dumps(document))


def _feature(shape: SegmentShape, info: ClassInfo | None, image: ExportImage, name: str) -> dict[str, Any]:
    segment = shape.segment
    properties: dict[str, Any] = {
        "class": info and info.name, "class_id": info and info.class_id, "confidence": rounded(segment.confidence),
        "known": info is not None, "area": shape.area, "image": name, "image_id": image.image_id,
        "segment_id": segment.segment_id, "exemplars": segment.exemplars, "objectType": "annotation",
    }  # fmt: skip
    if info is not None:
        properties["classification"] = {"name": info.name, "color": info.color}
    polygons = outlines_of(shape.mask, *shape.box[:2])
    coordinates = [
        [_closed(ring, image.place, hole=i > 0) for i, ring in enumerate(polygon.rings)] for polygon in polygons
    ]
    geometry = {"type": "MultiPolygon", "coordinates": coordinates}
    return {"type": "Feature", "id": segment.segment_id, "geometry": geometry, "properties": properties}


def _closed(ring: np.ndarray, place: MapPlace | None, *, hole: bool) -> list[list[float]]:
    """A ring in coordinates of the map, whose last point is its first: exteriors turn left, holes turn right."""
    points = ring if place is None else ring @ place.matrix[:, :2].T + place.matrix[:, 2]
    x, y = (points - points[0]).T
    twice_area = (x * (np.roll(y, -1) - np.roll(y, 1))).sum()
    if (twice_area < 0) != hole:
        points = points[::-1]
    closed: list[list[float]] = np.concatenate([points, points[:1]]).tolist()
    return closed
