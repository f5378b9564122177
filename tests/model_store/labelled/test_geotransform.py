"""Places of images on a map, by the tags of GeoTIFF and by world files."""

import numpy as np
import pytest
import tifffile

from model_store.labelled.geotransform import epsg_of, map_place, world_files
from tests.model_store.labelled.naive import photograph, write

UTM = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32660)  # keys: projected, pixels are areas, EPSG:32660


def geotiff(file, *, scale=None, ties=None, matrix=None, keys=None, size=(6, 8), **more):
    """Write a GeoTIFF by its tags."""
    tags = [
        (33550, "d", 3, scale),
        (33922, "d", len(ties or ()), ties),
        (34264, "d", 16, matrix),
        (34735, "H", len(keys or ()), keys),
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    extra = [(code, kind, count, value, True) for code, kind, count, value in tags if value is not None]
    tifffile.imwrite(file, pixels, photometric="rgb", extratags=[*extra, *more.pop("extratags", [])], **more)
    return file


def test_the_example_of_the_specification(tmp_path):
    """GeoTIFF 1.0, 3.1.1: a tie point at the upper left corner, and a scale of 100 metres."""
    file = geotiff(tmp_path / "a.tif", scale=(100.0, 100.0, 0.0), ties=(0, 0, 0, 350807.4, 5316081.3, 0.0), keys=UTM)

    place = map_place(file)

    assert place.epsg == 32660
    assert place.extent((6, 8)).tolist() == [[350807.4, 5316081.3 - 600], [350807.4 + 800, 5316081.3]]
    corners = np.array([(350807.4, 5316081.3), (350807.4 + 250, 5316081.3 - 150)])
    assert place.to_pixels(corners) == pytest.approx(np.array([(0, 0), (2.5, 1.5)]))


def test_a_tie_point_within_the_image(tmp_path):
    file = geotiff(tmp_path / "a.tif", scale=(2.0, 4.0, 0.0), ties=(3, 5, 0, 1000.0, 2000.0, 0.0), keys=UTM)

    assert map_place(file).to_pixels(np.array([(1000.0, 2000.0), (994.0, 2020.0)])).tolist() == [[3, 5], [0, 0]]


def test_a_matrix_with_rotation_comes_before_a_tie_point(tmp_path):
    matrix = (0.0, 2.0, 0, 100, 4.0, 0.0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 1)  # x = 2 row + 100, y = 4 column + 50
    file = geotiff(tmp_path / "a.tif", matrix=matrix, scale=(1.0, 1.0, 0), ties=(0, 0, 0, 0, 0, 0), keys=UTM)

    assert map_place(file).to_pixels(np.array([(106.0, 70.0)])).tolist() == [[5, 3]]


def test_coordinates_of_centres_are_half_a_pixel_further(tmp_path):
    points = (1, 1, 0, 2, 1025, 0, 1, 2, 2048, 0, 1, 4326)  # keys: pixels are points, EPSG:4326
    file = geotiff(tmp_path / "a.tif", scale=(2.0, 2.0, 0.0), ties=(0, 0, 0, 10.0, 50.0, 0.0), keys=points)

    place = map_place(file)

    assert place.epsg == 4326
    assert place.to_pixels(np.array([(10.0, 50.0)])).tolist() == [[0.5, 0.5]]


def test_a_system_of_the_user_has_no_code(tmp_path):
    own = (1, 1, 0, 2, 3072, 0, 1, 32767, 2048, 0, 1, 4326)
    file = geotiff(tmp_path / "a.tif", scale=(1.0, 1.0, 0.0), ties=(0, 0, 0, 0, 0, 0), keys=own)

    assert map_place(file).epsg is None


@pytest.mark.parametrize("name", ["a.tfw", "a.tifw", "a.wld", "a.TFW"])
def test_the_world_file_of_gdals_documentation(tmp_path, name):
    photograph(tmp_path / "a.tif", (4, 5))
    write(tmp_path / name, "60.0000000000\n0.0000000000\n0.0000000000\n-60.0000000000\n440750.0000000000\n3751290.0\n")

    place = map_place(tmp_path / "a.tif")

    assert place.epsg is None
    centres = np.array([(440750.0, 3751290.0), (440750.0 + 120, 3751290.0 - 60)])
    assert place.to_pixels(centres).tolist() == [[0.5, 0.5], [2.5, 1.5]]


def test_world_files_with_rotation(tmp_path):
    photograph(tmp_path / "a.jpg", (4, 5))
    write(tmp_path / "a.jgw", "3 4 -4 3 100 200")  # x = 3 column - 4 row + 100, y = 4 column + 3 row + 200, of centres

    assert map_place(tmp_path / "a.jpg").to_pixels(np.array([(99.0, 207.0)])).tolist() == [[1.5, 1.5]]


def test_tags_come_before_a_world_file(tmp_path):
    file = geotiff(tmp_path / "a.tif", scale=(1.0, 1.0, 0.0), ties=(0, 0, 0, 7.0, 9.0, 0.0))
    write(tmp_path / "a.tfw", "1 0 0 -1 0 0")

    assert map_place(file).to_pixels(np.array([(7.0, 9.0)])).tolist() == [[0, 0]]


def test_images_may_be_on_no_map(tmp_path):
    photograph(tmp_path / "a.png", (4, 5))
    ground = geotiff(tmp_path / "b.tif", ties=(0, 0, 0, 1, 2, 0, 8, 0, 0, 9, 2, 0), keys=UTM)  # control points only

    assert map_place(tmp_path / "a.png") is None
    assert map_place(ground) is None
    assert [file.name for file in world_files(tmp_path / "a.jpeg")][::2] == ["a.jgw", "a.jpegw", "a.wld"]


@pytest.mark.parametrize("text", ["1 0 0 -1 0", "1 0 0 -1 0 x", "1 0 0 -1 0 nan", "", "1 0 0 0 5 5"])
def test_damaged_world_files_are_refused(tmp_path, text):
    photograph(tmp_path / "a.png", (4, 5))
    write(tmp_path / "a.pgw", text)

    with pytest.raises(ValueError, match=r"a\.p(gw (cannot|has)|ng: the place)"):
        map_place(tmp_path / "a.png")


def test_damaged_tiffs_are_refused(tmp_path):
    write(tmp_path / "a.tif", "no tiff")

    with pytest.raises(ValueError, match=r"a\.tif cannot be read as a TIFF"):
        map_place(tmp_path / "a.tif")


def test_a_place_and_a_rotation_do_not_go_together(tmp_path):
    rotation = [(274, "H", 1, 6, True)]
    file = geotiff(tmp_path / "a.tif", scale=(1.0, 1.0, 0.0), ties=(0, 0, 0, 7.0, 9.0, 0.0), extratags=rotation)

    with pytest.raises(ValueError, match=r"a\.tif: has a place|a\.tif has a place on the map and is rotated"):
        map_place(file)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("urn:ogc:def:crs:OGC:1.3:CRS84", 4326),
        ("urn:ogc:def:crs:EPSG::32633", 32633),
        ("urn:ogc:def:crs:EPSG:9.9.1:25832", 25832),
        ("EPSG:900913", 3857),
        ("epsg:3857", 3857),
        ("http://www.opengis.net/def/crs/EPSG/0/4326", 4326),
        ("local", None),
        ("EPSG:x", None),
        ("", None),
    ],
)
def test_names_of_reference_systems(name, code):
    assert epsg_of(name) == code
