"""GeoJSON: labels of QuPath and of geographic programs, in pixels and on the map."""

import json

import numpy as np
import pytest

from model_store.labelled import IGNORE, detect, open_format
from model_store.labelled.geojson import GeoJson
from tests.model_store.labelled.naive import inside, painted, photograph, write
from tests.model_store.labelled.test_geotransform import geotiff

SIZE = (16, 24)
TREE = [(1.5, 1.0), (20.0, 2.5), (18.0, 15.5), (2.0, 12.0)]
HOLE = [(6.0, 5.0), (12.0, 5.0), (9.0, 10.0)]
BOX = [(14.0, 1.0), (23.0, 1.0), (23.0, 7.0), (14.0, 7.0)]
LEFT, TOP, SCALE = 500_000.0, 5_400_000.0, 0.5  # of an image in EPSG:32633


def closed(points):
    return [*(list(point) for point in points), list(points[0])]


def feature(properties, *rings, kind="Polygon", coordinates=None):
    return {
        "type": "Feature",
        "id": "7c3e",
        "properties": properties,
        "geometry": {"type": kind, "coordinates": coordinates or [closed(ring) for ring in rings]},
    }


def collection(*features, **more):
    return {"type": "FeatureCollection", "name": "labels", "features": list(features), **more}


def system(name):
    return {"crs": {"type": "name", "properties": {"name": name}}}


def on_map(points):
    return [(LEFT + x * SCALE, TOP - y * SCALE) for x, y in points]


def store(root, content, name="a", suffix="png"):
    photograph(root / f"{name}.{suffix}", SIZE)
    return write(root / f"{name}.geojson", json.dumps(content))


def store_on_map(root, content, epsg=32633):
    keys = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, epsg)
    geotiff(root / "a.tif", scale=(SCALE, SCALE, 0.0), ties=(0, 0, 0, LEFT, TOP, 0.0), keys=keys, size=SIZE)
    return write(root / "a.geojson", json.dumps(content))


TREE_MASK, BOX_MASK = inside([TREE, HOLE], SIZE), inside([BOX], SIZE)


def test_polygons_and_multipolygons_with_holes_in_pixels(tmp_path):
    parts = [[closed(TREE), closed(HOLE)], [closed([(0.0, 13.0), (5.0, 13.0), (5.0, 16.0), (0.0, 16.0)])]]
    store(
        tmp_path,
        collection(feature({"class": "tree"}, kind="MultiPolygon", coordinates=parts), feature({"class": "car"}, BOX)),
    )

    data = open_format(tmp_path, detect(tmp_path), "train")

    assert (data.name, [info.name for info in data.classes]) == ("geojson", ["car", "tree"])
    corner = inside([[(0, 13), (5, 13), (5, 16), (0, 16)]], SIZE)
    expected = painted([(1, TREE_MASK), (1, corner), (0, BOX_MASK)], SIZE)
    assert (data[0].labels == expected).all()
    assert set(np.unique(expected)) == {0, 1, IGNORE}
    assert data.survey.lines() == ["1 images are used"]


def test_parts_of_a_multipolygon_may_overlap(tmp_path):
    coordinates = [[closed(TREE)], [closed(BOX)]]
    store(tmp_path, collection(feature({"class": "tree"}, kind="MultiPolygon", coordinates=coordinates)))

    labels = GeoJson(tmp_path, "train")[0].labels

    assert (labels == painted([(0, inside([TREE], SIZE)), (0, BOX_MASK)], SIZE)).all()


def test_exports_of_qupath(tmp_path):
    def annotation(classification, ring, name=None):
        return feature(
            {
                "objectType": "annotation",
                "name": name,
                "classification": classification,
                "isLocked": True,
                "measurements": [],
            },
            ring,
        )

    content = [
        annotation({"name": "Tumor", "color": [200, 0, 0]}, TREE, name="first"),
        annotation({"name": "Stroma", "colorRGB": -16711936}, BOX),
        annotation({"names": ["Tumor", "Positive"], "color": [1, 2, 3]}, HOLE),
        feature({"objectType": "annotation", "name": "no class", "isLocked": False}, BOX),
    ]
    store(tmp_path, content)

    data = GeoJson(tmp_path, "train")

    assert [(info.name, info.color) for info in data.classes] == [
        ("Stroma", (0, 255, 0)),
        ("Tumor", (200, 0, 0)),
        ("Tumor: Positive", (1, 2, 3)),
    ]
    expected = painted([(1, inside([TREE], SIZE)), (0, BOX_MASK), (2, inside([HOLE], SIZE))], SIZE)
    assert (data[0].labels == expected).all()
    assert data.survey.notes == [
        "1 shape is not used: none of the properties classification, class, class_name, label, category, name"
    ]


@pytest.mark.parametrize(
    ("properties", "name"),
    [
        ({"Class": "tree", "name": "oak"}, "tree"),
        ({"class_name": "tree"}, "tree"),
        ({"label": 3, "name": "oak"}, "3"),
        ({"label": 3.0}, "3"),
        ({"class": None, "CATEGORY": " tree "}, "tree"),
        ({"class": "", "name": "oak"}, "oak"),
        ({"classification": "tree", "class": "oak"}, "tree"),
        ({"class": True, "id": 5, "name": "oak"}, "oak"),
    ],
)
def test_the_property_with_the_class(tmp_path, properties, name):
    store(tmp_path, feature(properties, TREE))

    assert [info.name for info in GeoJson(tmp_path, "train").classes] == [name]


@pytest.mark.parametrize("crs", [{}, system("urn:ogc:def:crs:EPSG::32633"), system("local")])
def test_coordinates_on_the_map_of_a_geotiff(tmp_path, crs):
    store_on_map(
        tmp_path,
        collection(
            feature({"class": "tree"}, on_map(TREE), on_map(HOLE)), feature({"class": "car"}, on_map(BOX)), **crs
        ),
    )

    data = open_format(tmp_path, detect(tmp_path), "train")

    assert (data[0].labels == painted([(1, TREE_MASK), (0, BOX_MASK)], SIZE)).all()


def test_coordinates_on_the_map_of_a_world_file(tmp_path):
    store(tmp_path, collection(feature({"class": "tree"}, on_map(TREE), on_map(HOLE))), suffix="jpg")
    write(tmp_path / "a.jgw", f"{SCALE}\n0\n0\n{-SCALE}\n{LEFT + SCALE / 2}\n{TOP - SCALE / 2}\n")

    data = GeoJson(tmp_path, "train")

    assert (data[0].labels == painted([(0, TREE_MASK)], SIZE)).all()
    assert data.survey.skipped == {}


def test_coordinates_in_pixels_beside_an_image_on_the_map(tmp_path):
    store_on_map(tmp_path, collection(feature({"class": "tree"}, TREE, HOLE)))

    assert (GeoJson(tmp_path, "train")[0].labels == painted([(0, TREE_MASK)], SIZE)).all()


def test_a_layer_may_be_larger_than_the_image(tmp_path):
    far = [(LEFT + x, TOP + y) for x, y in ((900, 900), (990, 900), (990, 990), (950, 999), (900, 990), (890, 950))]
    store_on_map(tmp_path, collection(feature({"class": "tree"}, on_map(HOLE)), feature({"class": "car"}, far)))

    data = GeoJson(tmp_path, "train")

    assert (data[0].labels == painted([(1, inside([HOLE], SIZE))], SIZE)).all()
    assert data.survey.empty == {"a.tif": 1}


def test_degrees_on_an_image_in_degrees(tmp_path):
    keys = (1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, 1, 2048, 0, 1, 4326)
    geotiff(tmp_path / "a.tif", scale=(1e-4, 1e-4, 0.0), ties=(0, 0, 0, 11.5, 10.25, 0.0), keys=keys, size=SIZE)
    for crs in ({}, system("urn:ogc:def:crs:OGC:1.3:CRS84")):
        tree = [(11.5 + x * 1e-4, 10.25 - y * 1e-4) for x, y in TREE]
        write(tmp_path / "a.geojson", json.dumps(collection(feature({"class": "tree"}, tree), **crs)))

        assert (GeoJson(tmp_path, "train")[0].labels == painted([(0, inside([TREE], SIZE))], SIZE)).all()


@pytest.mark.parametrize(
    ("crs", "message"),
    [
        (system("urn:ogc:def:crs:OGC:1.3:CRS84"), "is in EPSG:4326, and its image in EPSG:32633; convert it"),
        (system("urn:ogc:def:crs:EPSG::25833"), "is in EPSG:25833, and its image in EPSG:32633; convert it"),
        ({"crs": {"type": "EPSG", "properties": {"code": 3857}}}, "is in EPSG:3857, and its image in EPSG:32633"),
        ({}, "has degrees of WGS 84, and its image has not; convert it"),
    ],
)
def test_other_reference_systems_are_refused_with_the_command_that_converts(tmp_path, crs, message):
    store_on_map(tmp_path, collection(feature({"class": "a"}, [(11.51, 10.2), (11.52, 10.2), (11.52, 10.3)]), **crs))
    data = GeoJson(tmp_path, "train")

    with pytest.raises(ValueError, match=r"a\.geojson") as error:
        data[0]
    assert message in str(error.value)
    assert "ogr2ogr -t_srs EPSG:32633 OUT.geojson a.geojson" in str(error.value)


def test_degrees_beside_an_image_on_no_map_are_refused(tmp_path):
    store(tmp_path, collection(feature({"class": "a"}, [(11.51, 10.2), (11.52, 10.2), (11.52, 10.3)])))
    data = GeoJson(tmp_path, "train")

    with pytest.raises(ValueError, match=r"has degrees of WGS 84, and its image has not; add a world file"):
        data[0]


def test_coordinates_elsewhere_are_refused_with_both_extents(tmp_path):
    ring = [(700_000.0, 100.0), (700_020.0, 100.0), (700_020.0, 150.0)]
    store_on_map(tmp_path, collection(feature({"class": "a"}, ring)))
    data = GeoJson(tmp_path, "train")

    with pytest.raises(ValueError, match=r"a\.geojson has the coordinates") as error:
        data[0]
    for text in (
        "x 700000..700020, y 100..150",
        "pixels of its image, x 0..24, y 0..16",
        "its place on the map, x 500000..500012, y 5399992..5400000",
    ):
        assert text in str(error.value)


def test_coordinates_of_the_right_system_are_never_taken_for_pixels(tmp_path):
    store_on_map(tmp_path, collection(feature({"class": "a"}, TREE), **system("EPSG:32633")))
    data = GeoJson(tmp_path, "train")

    with pytest.raises(ValueError, match="lie neither in the pixels"):
        data[0]


def test_nothing_is_passed_over_in_silence(tmp_path):
    point = {"type": "Point", "coordinates": [1, 2]}
    mixed = {"type": "GeometryCollection", "geometries": [{"type": "Polygon", "coordinates": [closed(BOX)]}, point]}
    store(
        tmp_path,
        collection(
            feature({"class": "tree"}, TREE, HOLE[:2]),
            feature({"class": "tree"}, TREE[:2]),
            feature({"size": 3}, BOX),
            {"type": "Feature", "properties": {"class": "a"}, "geometry": point},
            {"type": "Feature", "properties": {"class": "a"}, "geometry": None},
            {"type": "Feature", "properties": {"class": "car"}, "geometry": mixed},
            {
                "type": "Feature",
                "properties": None,
                "geometry": {"type": "LineString", "coordinates": [[1, 1], [2, 2]]},
            },
        ),
    )
    photograph(tmp_path / "unlabelled.png", SIZE)
    write(tmp_path / "lost.geojson", json.dumps(collection()))
    write(tmp_path / "notes.txt", "")

    data = GeoJson(tmp_path, "train")

    assert (data[0].labels == painted([(1, inside([TREE], SIZE)), (0, BOX_MASK)], SIZE)).all()
    assert data.survey.skipped == {
        "unlabelled.png": "no labels",
        "lost.geojson": "no image of its name",
        "notes.txt": "not an image by its suffix",
    }
    assert data.survey.notes == [
        "2 shapes are not used: ring with fewer than three points",
        "1 shape is not used: none of the properties classification, class, class_name, label, category, name",
        "2 shapes are not used: kind Point",
        "1 shape is not used: kind None",
        "1 shape is not used: kind LineString",
    ]


def test_points_may_have_a_height_and_be_outside_of_the_image(tmp_path):
    ring = [[-5, -5, 100.0], [40, -5, 101.0], [10, 40, 102.0], [-5, -5, 100.0]]
    store(tmp_path, collection(feature({"class": "a"}, BOX), feature({"class": "b"}, coordinates=[ring])))

    labels = GeoJson(tmp_path, "train")[0].labels

    expected = painted([(0, BOX_MASK), (1, inside([[(-5, -5), (40, -5), (10, 40)]], SIZE))], SIZE)
    assert (labels == expected).all()


def test_images_and_files_may_be_in_other_folders_or_have_two_suffixes(tmp_path):
    content = json.dumps(collection(feature({"class": "tree"}, TREE)))
    for name in ("a.png", "b.tif", "c.png"):
        photograph(tmp_path / "images" / name, SIZE)
    write(tmp_path / "labels/a.geojson", content)
    write(tmp_path / "images/b.tif.geojson", content)

    data = GeoJson(tmp_path, "train")

    assert detect(tmp_path) == "geojson"
    assert sorted(data.survey.used) == ["images/a.png", "images/b.tif"]
    assert data.survey.skipped == {"images/c.png": "no labels"}


def test_one_image_and_one_file_belong_together(tmp_path):
    photograph(tmp_path / "scene.png", SIZE)
    file = write(tmp_path / "labels.json", json.dumps(collection(feature({"class": "tree"}, TREE))))

    assert detect(file) == "geojson"
    assert GeoJson(file, "train").survey.used == ["scene.png"]

    file.rename(tmp_path / "labels.geojson")
    assert GeoJson(tmp_path, "train").survey.used == ["scene.png"]


def test_two_images_of_one_name_are_noted(tmp_path):
    store(tmp_path, collection(feature({"class": "tree"}, TREE)))
    photograph(tmp_path / "a.jpg", SIZE)
    store(tmp_path, collection(feature({"class": "tree"}, TREE)), "b")

    data = GeoJson(tmp_path, "train")

    assert data.survey.used == ["b.png"]
    assert data.survey.skipped["a.geojson"] == "2 images of its name"


def test_folders_with_usual_names_are_splits_with_the_same_classes(tmp_path):
    store(tmp_path / "train", collection(feature({"class": "tree"}, TREE)))
    store(tmp_path / "test", collection(feature({"class": "car"}, BOX)))

    train, test = GeoJson(tmp_path, "train"), GeoJson(tmp_path, "test")

    assert (train.survey.used, test.survey.used) == (["train/a.png"], ["test/a.png"])
    assert [info.name for info in train.classes] == [info.name for info in test.classes] == ["car", "tree"]
    assert (train[0].labels == painted([(1, inside([TREE], SIZE))], SIZE)).all()
    with pytest.raises(ValueError, match=r"split 'val' does not exist .*; choose test, train"):
        GeoJson(tmp_path, "val")


def test_keep_takes_some_images_with_their_places(tmp_path):
    store_on_map(tmp_path, collection(feature({"class": "tree"}, on_map(TREE))))
    store(tmp_path, collection(feature({"class": "car"}, BOX)), "b")
    data = GeoJson(tmp_path, "train")

    data.keep([1, 0])

    assert (data[0].labels == painted([(0, BOX_MASK)], SIZE)).all()
    assert (data[1].labels == painted([(1, inside([TREE], SIZE))], SIZE)).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"type": "Topology"}, r"a\.geojson has the type 'Topology'; FeatureCollection or Feature is needed"),
        ({"type": "FeatureCollection"}, r"a\.geojson: features: the whole is None"),
        (collection({"geometry": None}), r"a\.geojson: features: \[0\]\.type is missing"),
        (collection(feature([], TREE)), r"a\.geojson: features: \[0\]\.properties is \[\]"),
        (collection(feature({"class": "a"}, coordinates=5)), r"features\[0\]\.geometry\.coordinates has 5; a list"),
        (collection(feature({"class": "a"}, coordinates=[5])), r"features\[0\] has the ring 5; a list of \[x, y\]"),
        (
            collection(feature({"class": "a"}, coordinates=[[[1, 2], [3]]])),
            r"features\[0\] has the ring \[\[1, 2\], \[3\]\]",
        ),
        (collection(feature({"class": "a"}, coordinates=[[[1, "x"], [3, 4]]])), r"features\[0\] has the ring"),
        (collection(feature({"class": "a"}, coordinates=[[[1, float("nan")], [3, 4]]])), r"features\[0\] has the ring"),
        (collection(feature({"class": "a"}, kind="MultiPolygon", coordinates=[5])), r"coordinates has 5; a list"),
        (
            collection(feature({}, TREE)),
            "has no polygon with a class that can be used. .*1 shape is not used: none of",
        ),
        (collection(), "has no polygon with a class"),
    ],
)
def test_malformed_files_are_refused(tmp_path, content, message):
    store(tmp_path, content)

    with pytest.raises(ValueError, match=message):
        GeoJson(tmp_path, "train")


def test_other_files_are_not_taken_for_geojson(tmp_path):
    photograph(tmp_path / "a.png", SIZE)
    write(tmp_path / "b.json", json.dumps(collection()))
    assert not GeoJson.found(tmp_path)
    write(tmp_path / "a.geojson", json.dumps({"type": "Topology"}))
    assert not GeoJson.found(tmp_path)
    assert not GeoJson.found(tmp_path / "a.png")
