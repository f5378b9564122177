"""Supervisely: projects as its SDK downloads them."""

import base64
import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image

from model_store.labelled import IGNORE, detect, open_format
from model_store.labelled.supervisely import PixelPolygon, Supervisely
from tests.model_store.labelled.naive import inside, painted, photograph, write
from tests.model_store.labelled.naive_shapes import at

SIZE = (18, 22)
BLOB = np.random.default_rng(0).random((5, 6)) > 0.4
CLASSES = [
    ("tree", "polygon", "#F6FF00"),
    ("car", "rectangle", "#BE55CE"),
    ("blob", "bitmap", "#00FF12"),
    ("any", "any", "bad"),
    ("nose", "point", "#112233"),
    ("lane", "line", "#112234"),
    ("pose", "graph", "#112235"),
]


def meta(classes=CLASSES):
    return {
        "classes": [
            {"title": title, "shape": shape, "color": color, "geometry_config": {}, "id": i, "hotkey": ""}
            for i, (title, shape, color) in enumerate(classes)
        ],
        "tags": [],
        "projectType": "images",
    }


def item(title, kind, **more):
    return {
        "id": 1,
        "classId": 2,
        "description": "",
        "geometryType": kind,
        "labelerLogin": "me",
        "tags": [],
        "createdAt": "2020-08-21T15:15:28.092Z",
        "updatedAt": "2020-08-21T16:06:11.461Z",
        "classTitle": title,
        **more,
    }


def polygon(title, exterior, *interior, kind="polygon"):
    return item(title, kind, points={"exterior": [list(p) for p in exterior], "interior": [list(r) for r in interior]})


def bitmap(title, mask, origin):
    """As `mask_2_base64` of the documentation writes it."""
    image = Image.fromarray(mask.astype(np.uint8))
    image.putpalette([0, 0, 0, 255, 255, 255])
    stream = io.BytesIO()
    image.save(stream, format="PNG", transparency=0, optimize=0)
    data = base64.b64encode(zlib.compress(stream.getvalue())).decode()
    return item(title, "bitmap", bitmap={"data": data, "origin": list(origin)})


def annotation(*objects, size=SIZE):
    return {"description": "", "tags": [], "size": {"height": size[0], "width": size[1]}, "objects": list(objects)}


def store(root, *objects, folder="ds1", name="a.png", **more):
    photograph(root / folder / "img" / name, SIZE)
    write(root / folder / "ann" / f"{name}.json", json.dumps(annotation(*objects, **more)))
    write(root / "meta.json", json.dumps(meta()))


def on_sides(ring):
    """The pixels along the sides of a ring of whole numbers, whose sides are straight or diagonal, step by step."""
    found = set()
    for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
        steps = max(abs(x1 - x0), abs(y1 - y0))
        assert x0 == x1 or y0 == y1 or abs(x1 - x0) == abs(y1 - y0)
        for i in range(steps + 1):
            found.add((x0 + (x1 - x0) * i // max(steps, 1), y0 + (y1 - y0) * i // max(steps, 1)))
    return found


def of_pixels(exterior, *interior, size=SIZE):
    """The pixels in or on a ring, but in or on none of the holes."""

    def closed(ring):
        mask = inside([[(x + 0.5, y + 0.5) for x, y in ring]], size)
        for x, y in on_sides(ring):
            if 0 <= x < size[1] and 0 <= y < size[0]:
                mask[y, x] = True
        return mask

    mask = closed(exterior)
    for hole in interior:
        mask &= ~closed(hole)
    return mask


TREE = [(2, 1), (12, 1), (16, 5), (16, 14), (8, 14), (2, 8)]
HOLE = [(6, 5), (10, 5), (10, 9), (6, 9)]


def test_exports_state_pixels(tmp_path):
    store(
        tmp_path,
        polygon("tree", TREE, HOLE),
        polygon("car", [(19, 9), (13, 3)], kind="rectangle"),
        bitmap("blob", BLOB, (4, 11)),
        item(
            "any",
            "multipolygon",
            parts=[
                {"exterior": [[0, 0], [3, 0], [3, 3], [0, 3]], "interior": []},
                {"exterior": [[18, 15], [21, 15], [21, 17], [18, 17]], "interior": []},
            ],
        ),
    )

    data = open_format(tmp_path, detect(tmp_path), "train")

    assert data.name == "supervisely"
    assert [(info.name, info.color) for info in data.classes[:3]] == [
        ("tree", (0xF6, 0xFF, 0)),
        ("car", (0xBE, 0x55, 0xCE)),
        ("blob", (0, 0xFF, 0x12)),
    ]
    assert [info.name for info in data.classes[3:]] == ["any"]
    box = np.zeros(SIZE, dtype=bool)
    for y in range(3, 10):  # the last row and column, too
        for x in range(13, 20):
            box[y, x] = True
    expected = painted(
        [
            (0, of_pixels(TREE, HOLE)),
            (1, box),
            (2, at(BLOB, 4, 11, SIZE)),
            (3, of_pixels([(0, 0), (3, 0), (3, 3), (0, 3)])),
            (3, of_pixels([(18, 15), (21, 15), (21, 17), (18, 17)])),
        ],
        SIZE,
    )
    assert (data[0].labels == expected).all()
    assert {0, 1, 2, 3, IGNORE} == set(np.unique(expected))
    assert data.survey.notes == []


def test_a_polygon_around_a_blob_gives_the_blob() -> None:
    """Contours of pixels, from the same library that Supervisely's SDK draws with."""
    cv2 = pytest.importorskip("cv2", reason="opencv comes with the extra `bench` only")
    from scipy.ndimage import binary_fill_holes, gaussian_filter

    for seed in range(5):
        blob = binary_fill_holes(gaussian_filter(np.random.default_rng(seed).random((40, 50)), 3) > 0.5)
        drawn = np.zeros(blob.shape, dtype=bool)
        for contour in cv2.findContours(blob.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]:
            mask, (top, left) = PixelPolygon(contour[:, 0].astype(float), ()).draw(blob.shape)
            drawn[top : top + mask.shape[0], left : left + mask.shape[1]] |= mask
        assert (drawn == blob).all()


def test_pixels_outside_of_the_image_are_left_out(tmp_path):
    ring, hole = [(-5, -3), (30, -3), (30, 25), (-5, 25)], [(-1, 4), (6, 4), (6, 30), (-1, 30)]
    store(tmp_path, polygon("tree", ring, hole), bitmap("blob", BLOB, (-2, 16)))

    labels = Supervisely(tmp_path, "train")[0].labels

    assert (labels == painted([(0, of_pixels(ring, hole)), (2, at(BLOB, -2, 16, SIZE))], SIZE)).all()


def test_a_polygon_of_one_line_has_the_pixels_of_the_line():
    mask, corner = PixelPolygon(np.array([(2.0, 3.0), (7.0, 3.0), (4.0, 3.0)]), ()).draw(SIZE)

    assert (corner, mask.tolist()) == ((3, 2), [[True] * 6])


def test_numbers_between_pixels_begin_at_the_corner_of_the_first_pixel(tmp_path):
    tree, hole = [(2.5, 1.0), (15.0, 3.25), (9.0, 16.5)], [(7.0, 5.0), (10.0, 5.0), (9.0, 9.0)]
    store(tmp_path, polygon("tree", tree, hole), polygon("car", [(13.0, 3.0), (19.0, 9.0)], kind="rectangle"))

    labels = Supervisely(tmp_path, "train")[0].labels

    box = [(13, 3), (19, 3), (19, 9), (13, 9)]
    assert (labels == painted([(0, inside([tree, hole], SIZE)), (1, inside([box], SIZE))], SIZE)).all()


def test_the_bitmap_of_the_documentation(tmp_path):
    data = (
        "eJzrDPBz5+WS4mJgYOD19HAJAtLMIMwIInOeqf8BUmwBPiGuQPr///9Lb86/C2QxlgT5BTM4PLuRBuTwebo4hlTMSa44cOHAB6DqY0yO"
        "Rgq8YkAZBk9XP5d1TglNANAFGzA="
    )
    store(tmp_path, item("blob", "bitmap", bitmap={"data": data, "origin": [3, 2]}))

    labels = Supervisely(tmp_path, "train")[0].labels

    assert (labels[2:5, 3:6] == 2).tolist() == [[True, True, True], [True, False, False], [True, True, True]]
    assert (labels == 2).sum() == 7


def test_a_bitmap_may_be_a_plain_png(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(np.dstack([np.zeros((*BLOB.shape, 3), dtype=np.uint8), BLOB * np.uint8(255)])).save(stream, "PNG")
    data = base64.b64encode(stream.getvalue()).decode()
    store(tmp_path, item("blob", "bitmap", bitmap={"data": data, "origin": [3.5, 2.0]}))

    assert (Supervisely(tmp_path, "train")[0].labels == painted([(2, at(BLOB, 3, 2, SIZE))], SIZE)).all()


def test_old_files_have_no_kinds(tmp_path):
    old = [
        {"classTitle": "tree", "bitmap": None, "points": {"exterior": TREE, "interior": []}, "tags": []},
        {"classTitle": "car", "bitmap": None, "points": {"exterior": [[13, 3], [19, 9]], "interior": []}},
        {key: value for key, value in bitmap("blob", BLOB, (4, 11)).items() if key != "geometryType"},
    ]
    store(tmp_path, *old, name="a.png")
    (tmp_path / "ds1/ann/a.png.json").rename(tmp_path / "ds1/ann/a.json")

    labels = Supervisely(tmp_path, "train")[0].labels

    box = of_pixels([(13, 3), (19, 3), (19, 9), (13, 9)])
    assert (labels == painted([(0, of_pixels(TREE)), (1, box), (2, at(BLOB, 4, 11, SIZE))], SIZE)).all()


def test_nothing_is_passed_over_in_silence(tmp_path):
    store(
        tmp_path,
        polygon("tree", TREE, HOLE[:2]),
        polygon("tree", TREE[:2]),
        polygon("ghost", TREE),
        item("nose", "point", points={"exterior": [[1, 2]], "interior": []}),
        item("lane", "line", points={}),
        item("pose", "graph", nodes={"a": {"loc": [1, 2]}}),
        item("any", "cuboid", points=[[1, 2], [3, 4]], faces=[]),
        item("any", "alpha_mask", bitmap={"data": "", "origin": [0, 0]}),
    )
    photograph(tmp_path / "ds1/img/unlabelled.png", SIZE)
    write(tmp_path / "ds1/ann/lost.png.json", json.dumps(annotation(polygon("tree", TREE))))
    write(tmp_path / "ds1/ann/notes.txt", "")
    write(tmp_path / "ds1/img/notes.txt", "")
    photograph(tmp_path / "ds1/img/empty.png", SIZE)
    write(tmp_path / "ds1/ann/empty.png.json", json.dumps(annotation()))

    data = Supervisely(tmp_path, "train")

    assert data.survey.used == ["ds1/img/a.png"]
    assert data.survey.skipped == {
        "ds1/img/unlabelled.png": "no labels",
        "ds1/ann/lost.png.json": "labels without an image",
        "ds1/ann/notes.txt": "no annotation by its name",
        "ds1/img/notes.txt": "not an image by its suffix",
        "ds1/img/empty.png": "no labels",
    }
    assert data.survey.notes == [
        "1 shape is not used: hole with fewer than three points",
        "1 shape is not used: polygon with fewer than three points",
        "1 shape is not used: kind point",
        "1 shape is not used: kind line",
        "1 shape is not used: kind graph",
        "1 shape is not used: kind cuboid",
        "1 shape is not used: kind alpha_mask",
        "1 shape is not used: class 'ghost' is not listed",
    ]
    assert (data[0].labels == painted([(0, of_pixels(TREE))], SIZE)).all()


def test_data_sets_are_splits_also_nested_ones(tmp_path):
    store(tmp_path, polygon("tree", TREE), folder="train")
    store(tmp_path, polygon("car", [(1, 1), (5, 5)], kind="rectangle"), folder="valid")
    store(tmp_path, bitmap("blob", BLOB, (1, 1)), folder="fruit/datasets/apples")
    photograph(tmp_path / "valid/img/unlabelled.png", SIZE)

    train, val, apples = (Supervisely(tmp_path, split) for split in ("train", "val", "fruit/apples"))

    assert train.survey.used == ["train/img/a.png"]
    assert val.survey.used == ["valid/img/a.png"]
    assert apples.survey.used == ["fruit/datasets/apples/img/a.png"]
    assert (train.survey.skipped, val.survey.skipped) == ({}, {"valid/img/unlabelled.png": "no labels"})
    assert train.classes == val.classes == apples.classes
    with pytest.raises(ValueError, match=r"split 'test' does not exist .*; choose fruit/apples, train, valid"):
        Supervisely(tmp_path, "test")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (polygon("tree", [(1, 2), (3, "x"), (4, 4)]), r"a\.png\.json: objects\[0\]\.points: exterior\[1\]\[1\] is 'x'"),
        (item("tree", "polygon"), r"objects\[0\]\.points: the whole is None"),
        (item("blob", "bitmap"), r'objects\[0\] is a bitmap without "bitmap"'),
        (item("blob", "bitmap", bitmap={"data": "aGk", "origin": [0, 0]}), r"objects\[0\]: 'aGk' is no base64"),
        (item("blob", "bitmap", bitmap={"data": "aGk=", "origin": [0, 0]}), r"neither a PNG nor a compressed PNG"),
        (item("blob", "bitmap", bitmap={"data": "aGk=", "origin": [0]}), r"objects\[0\]\.bitmap\.origin"),
        (polygon("car", TREE, kind="rectangle"), r'objects\[0\] is a rectangle with 6 points in "exterior"; two'),
        ({"geometryType": "polygon"}, r"objects\[0\]\.classTitle is missing"),
    ],
)
def test_malformed_objects_are_refused(tmp_path, entry, message):
    store(tmp_path, entry)

    with pytest.raises(ValueError, match=message):
        Supervisely(tmp_path, "train")


def test_bitmaps_that_are_too_large_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("model_store.labelled.supervisely._MOST_BYTES", 50)
    store(tmp_path, bitmap("blob", BLOB, (1, 1)))

    with pytest.raises(ValueError, match="is a bitmap of more than 50 bytes"):
        Supervisely(tmp_path, "train")


def test_points_that_are_too_far_away_are_refused(tmp_path):
    store(tmp_path, polygon("tree", [(0, 0), (10**9, 0), (5, 5)]))
    data = Supervisely(tmp_path, "train")

    with pytest.raises(ValueError, match=r"a\.png\.json: a shape of the class 'tree' .* 1000000000 pixels away"):
        data[0]


def test_labels_of_another_size_are_refused(tmp_path):
    store(tmp_path, polygon("tree", TREE), size=(20, 30))
    data = Supervisely(tmp_path, "train")

    with pytest.raises(ValueError, match=r"a\.png\.json: the labels were drawn on 30x20 pixels"):
        data[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"classes": [{"shape": "polygon"}]}, r"meta\.json: classes\[0\]\.title is missing"),
        ({"tags": []}, r"meta\.json: classes is missing"),
        (meta([("a", "any", ""), ("a", "any", "")]), r"meta\.json: the names 'a' and 'a' are one name"),
        (meta([("a", "point", "")]), r"meta\.json: there are 0 classes"),
    ],
)
def test_malformed_classes_are_refused(tmp_path, content, message):
    store(tmp_path, polygon("tree", TREE))
    write(tmp_path / "meta.json", json.dumps(content))

    with pytest.raises(ValueError, match=message):
        Supervisely(tmp_path, "train")


def test_a_project_without_images_is_refused(tmp_path):
    store(tmp_path, polygon("tree", TREE))
    (tmp_path / "ds1/img").rename(tmp_path / "ds1/video")

    with pytest.raises(ValueError, match="ds1 has no folder img; download the project with its images"):
        Supervisely(tmp_path, "train")


def test_other_folders_are_not_taken_for_a_project(tmp_path):
    write(tmp_path / "meta.json", json.dumps(meta()))
    assert not Supervisely.found(tmp_path)
    (tmp_path / "ds1/ann").mkdir(parents=True)
    assert Supervisely.found(tmp_path)
    write(tmp_path / "meta.json", json.dumps({"version": 3}))
    assert not Supervisely.found(tmp_path)
