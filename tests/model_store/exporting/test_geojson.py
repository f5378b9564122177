"""The export `geojson`, read by shapely and by GDAL."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_store.exporting import ExportImage, write
from model_store.labelled.geotransform import MapPlace
from model_store.labelled.polygons import fill_rings
from tests.model_store.exporting.samples import CLASSES, WRITTEN, results

TRANSFORM = (0.5, 0.1, 400000.25, 0.1, -0.5, 5800000.75)  # turned a little; y of the map points up
UTM = MapPlace(np.array(TRANSFORM).reshape(2, 3), 32632)


def _features(folder: Path, name: str) -> list[dict[str, Any]]:
    return json.loads((folder / f"{Path(name).stem}.geojson").read_bytes())["features"]


def _to_pixels(point: list[float]) -> tuple[float, float]:
    a, b, c, d, e, f = TRANSFORM
    x, y = point[0] - c, point[1] - f
    return (e * x - b * y) / (a * e - b * d), (a * y - d * x) / (a * e - b * d)


def _area(ring: list[list[float]]) -> float:
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True)) / 2


@pytest.mark.parametrize("place", [None, UTM])
def test_features_fill_to_exactly_the_segments(place: MapPlace | None, tmp_path: Path) -> None:
    write("geojson", [image._replace(place=place) for image in results()], CLASSES, tmp_path)
    for image, name in zip(results(), WRITTEN, strict=True):
        numbers = {segment.segment_id: number for number, segment in enumerate(image.segments)}
        covered = np.full(image.labels.shape, -1)
        for feature in _features(tmp_path, name):
            assert feature["geometry"]["type"] == "MultiPolygon"
            rings = [ring for polygon in feature["geometry"]["coordinates"] for ring in polygon]
            points = [np.array([_to_pixels(p) if place else p for p in ring[:-1]]) for ring in rings]
            covered[fill_rings(points, image.labels.shape)] = numbers[feature["id"]]
        assert (covered == image.labels).all(), "unknown segments are among them"


@pytest.mark.parametrize("place", [None, UTM, MapPlace(np.eye(2, 3), None)])
def test_rings_are_closed_and_turn_as_rfc_7946_asks(place: MapPlace | None, tmp_path: Path) -> None:
    write("geojson", [image._replace(place=place) for image in results()], CLASSES, tmp_path)
    holes = 0
    for name in WRITTEN:
        for feature in _features(tmp_path, name):
            for exterior, *inner in feature["geometry"]["coordinates"]:
                assert all(ring[0] == ring[-1] and len(ring) >= 4 for ring in (exterior, *inner))
                origin = exterior[0]
                shifted = [[[x - origin[0], y - origin[1]] for x, y in ring] for ring in (exterior, *inner)]
                assert _area(shifted[0]) > 0
                assert all(_area(ring) < 0 for ring in shifted[1:])
                holes += len(inner)
    assert holes > 0


def test_properties_have_class_confidence_and_ids(tmp_path: Path) -> None:
    image = results(1)[0]
    write("geojson", [image], CLASSES, tmp_path)
    document = json.loads((tmp_path / "Größe 1.geojson").read_bytes())
    assert [document[key] for key in ("image", "image_id", "width", "height")] == ["Größe 1.png", "image0", 53, 37]
    found = {feature["id"]: feature["properties"] for feature in _features(tmp_path, image.name)}
    assert found["image0-1"] == {
        "class": CLASSES[1].name, "class_id": 1, "confidence": 0.6124, "known": True,
        "area": int((image.labels == 1).sum()), "image": image.name, "image_id": "image0", "segment_id": "image0-1",
        "exemplars": ["e3"], "objectType": "annotation",
        "classification": {"name": CLASSES[1].name, "color": list(CLASSES[1].color)},
    }  # fmt: skip
    assert found["image0-0"]["class_id"] == 0
    unknown = found["image0-5"]
    assert (unknown["class"], unknown["class_id"], unknown["known"]) == (None, None, False)
    assert "classification" not in unknown
    assert "image0-6" not in found, "it has no pixels"


def test_a_map_is_named_unless_it_is_wgs_84(tmp_path: Path) -> None:
    (image,) = results(1)
    named: dict[int | None, Any] = {}
    for epsg in (32632, 4326, None):
        write("geojson", [image._replace(place=MapPlace(np.eye(2, 3), epsg))], CLASSES, tmp_path)
        document = json.loads((tmp_path / "Größe 1.geojson").read_bytes())
        named[epsg] = document.get("crs", {}).get("properties", {}).get("name")
    assert named == {32632: "urn:ogc:def:crs:EPSG::32632", 4326: None, None: None}


@pytest.mark.parametrize("place", [None, UTM])
def test_shapely_takes_all_geometries_as_valid(place: MapPlace | None, tmp_path: Path) -> None:
    shapely = pytest.importorskip("shapely", reason="shapely is in the extra `test`")
    write("geojson", [image._replace(place=place) for image in results()], CLASSES, tmp_path)
    scale = abs(TRANSFORM[0] * TRANSFORM[4] - TRANSFORM[1] * TRANSFORM[3]) if place else 1
    for name in WRITTEN:
        for feature in _features(tmp_path, name):
            shape = shapely.from_geojson(json.dumps(feature["geometry"]))
            assert shapely.is_valid(shape), shapely.is_valid_reason(shape)
            corners = shape.length / scale**0.5  # each corner of a pixel that is cut changes the area by 1/8
            assert shape.area / scale == pytest.approx(feature["properties"]["area"], abs=corners / 4)


def test_gdal_reads_the_map_and_the_features(tmp_path: Path) -> None:
    pyogrio = pytest.importorskip("pyogrio", reason="pyogrio is in the extra `test`")
    image: ExportImage = results(1)[0]._replace(place=UTM)
    write("geojson", [image], CLASSES, tmp_path)
    meta, _, geometry, columns = pyogrio.raw.read(tmp_path / "Größe 1.geojson")
    assert re.search("32632", meta["crs"])
    assert meta["geometry_type"] == "MultiPolygon"
    assert len(geometry) == len(np.unique(image.labels[image.labels >= 0]))
    read = dict(zip(meta["fields"], columns, strict=True))
    assert set(read["class"].tolist()) == {CLASSES[0].name, CLASSES[1].name, CLASSES[3].name, None}
    for name, area in zip(read["segment_id"].tolist(), read["area"].tolist(), strict=True):
        assert area == (image.labels == int(name[-1])).sum()
