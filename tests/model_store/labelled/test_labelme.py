"""labelme: files as the program writes them, and labels.txt as its script labelme2voc reads it."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from model_store.labelled import IGNORE, detect, open_format
from model_store.labelled.labelme import LabelMe
from tests.model_store.labelled.naive import inside, painted, photograph, write
from tests.model_store.labelled.naive_shapes import at, elliptic

SIZE = (14, 20)
TREE = [(1.5, 1.0), (12.0, 2.5), (9.0, 13.5), (2.0, 10.0)]
BLOB = np.random.default_rng(0).random((5, 6)) > 0.4


def shape(label, points, kind="polygon", **more):
    return {
        "label": label,
        "points": [list(point) for point in points],
        "group_id": None,
        "description": "",
        "shape_type": kind,
        "flags": {},
        "mask": None,
        **more,
    }


def png(mask):
    stream = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8)).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def document(shapes, image="a.jpg", **more):
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": image,
        "imageData": None,
        "imageHeight": SIZE[0],
        "imageWidth": SIZE[1],
        **more,
    }


def store(root, shapes, name="a", image=None, **more):
    photograph(root / (image or f"{name}.png"), SIZE)
    return write(root / f"{name}.json", json.dumps(document(shapes, image or f"{name}.png", **more), indent=2))


def notes(data):
    return "\n".join(data.survey.lines())


def test_all_kinds_of_shapes_with_an_area(tmp_path):
    store(
        tmp_path,
        [
            shape("tree", TREE),
            shape("car", [(16.2, 9.0), (10.0, 3.1)], "rectangle"),
            shape("disc", [(14.0, 7.0), (14.0, 10.5)], "circle"),
            shape("blob", [(2, 3), (7, 7)], "mask", mask=png(BLOB)),
            shape("car", [(5.0, 9.0), (9.0, 11.0), (8.0, 13.0), (4.0, 11.0)], "oriented_rectangle"),
        ],
    )

    data = open_format(tmp_path, detect(tmp_path), "train")

    assert (data.name, [info.name for info in data.classes]) == ("labelme", ["blob", "car", "disc", "tree"])
    box = [(10.0, 3.1), (16.2, 3.1), (16.2, 9.0), (10.0, 9.0)]
    expected = painted(
        [
            (3, inside([TREE], SIZE)),
            (1, inside([box], SIZE)),
            (2, elliptic((14, 7), (3.5, 3.5), 0, SIZE)),
            (0, at(BLOB, 2, 3, SIZE)),
            (1, inside([[(5, 9), (9, 11), (8, 13), (4, 11)]], SIZE)),
        ],
        SIZE,
    )
    sample = data[0]
    assert (sample.labels == expected).all()
    assert sample.image.shape == (*SIZE, 3)
    assert set(np.unique(expected)) == {0, 1, 2, 3, IGNORE}
    assert data.survey.notes == []


def test_old_files_have_neither_kinds_nor_sizes(tmp_path):
    photograph(tmp_path / "a.jpg", SIZE)
    old = {
        "flags": {},
        "shapes": [{"label": "tree", "line_color": None, "fill_color": None, "points": TREE}],
        "lineColor": [0, 255, 0, 128],
        "fillColor": [255, 0, 0, 128],
        "imagePath": "a.jpg",
        "imageData": None,
    }
    write(tmp_path / "a.json", json.dumps(old))

    assert detect(tmp_path) == "labelme"
    assert (LabelMe(tmp_path, "train")[0].labels == painted([(0, inside([TREE], SIZE))], SIZE)).all()


def test_masks_reach_over_the_edge_and_between_pixels(tmp_path):
    store(
        tmp_path,
        [
            shape("a", [(-2, -1), (3, 3)], "mask", mask=png(BLOB)),
            shape("b", [(17.6, 10.4), (22.4, 14.6)], "mask", mask=png(BLOB)),
        ],
    )

    labels = LabelMe(tmp_path, "train")[0].labels

    assert (labels == painted([(0, at(BLOB, -2, -1, SIZE)), (1, at(BLOB, 18, 10, SIZE))], SIZE)).all()


def test_labels_txt_gives_the_order_and_a_background(tmp_path):
    store(
        tmp_path,
        [
            shape("tree", TREE),
            shape("__ignore__", [(4, 4), (8, 8)], "rectangle"),
            shape("lamp", TREE),
            shape("lamp", TREE),
        ],
    )
    write(tmp_path / "labels.txt", "__ignore__\n_background_\ntree\ncar\n")

    data = LabelMe(tmp_path, "train")

    assert [info.name for info in data.classes] == ["_background_", "tree", "car"]
    hole = inside([[(4, 4), (8, 4), (8, 8), (4, 8)]], SIZE)
    assert (data[0].labels == painted([(1, inside([TREE], SIZE)), (IGNORE, hole)], SIZE, rest=0)).all()
    assert "2 shapes are not used: class 'lamp' is not listed" in notes(data)
    assert "labels.txt" not in notes(data)


def test_labels_txt_without_a_background_leaves_pixels_unlabelled(tmp_path):
    store(tmp_path, [shape("tree", TREE)])
    write(tmp_path / "labels.txt", "car\ntree\n")

    data = LabelMe(tmp_path, "train")

    assert [info.name for info in data.classes] == ["car", "tree"]
    assert (data[0].labels == painted([(1, inside([TREE], SIZE))], SIZE)).all()


def test_with_a_background_an_image_without_shapes_is_background(tmp_path):
    store(tmp_path, [])
    write(tmp_path / "labels.txt", "__ignore__\n_background_\n")

    assert (LabelMe(tmp_path, "train")[0].labels == 0).all()


def test_ignored_regions_alone_are_no_class(tmp_path):
    store(tmp_path, [shape("tree", TREE), shape("__ignore__", [(0, 0), (20, 14)], "rectangle")])

    data = LabelMe(tmp_path, "train")

    assert [info.name for info in data.classes] == ["tree"]
    assert (data[0].labels == IGNORE).all()


def test_nothing_is_passed_over_in_silence(tmp_path):
    store(
        tmp_path,
        [
            shape("tree", TREE),
            shape("tree", TREE[:2]),
            shape("tree", TREE[:2], "line"),
            shape("tree", TREE[:1], "point"),
            shape("tree", TREE[:3], "linestrip"),
            shape("tree", [(3, 3), (3, 3)], "circle"),
            shape("tree", [(40, 3), (41, 5)], "rectangle"),
            shape("tree", [(3.1, 3.1), (3.4, 3.4)], "rectangle"),
        ],
    )
    photograph(tmp_path / "unlabelled.png", SIZE)
    write(tmp_path / "lost.json", json.dumps(document([shape("tree", TREE)], "lost.png")))
    write(tmp_path / "other.json", "[1, 2]")
    write(tmp_path / "notes.md", "")
    write(tmp_path / "empty.json", json.dumps(document([], "empty.png")))
    photograph(tmp_path / "empty.png", SIZE)

    data = LabelMe(tmp_path, "train")

    assert data.survey.used == ["a.png"]
    assert data.survey.skipped == {
        "unlabelled.png": "no labels",
        "lost.json": "no image 'lost.png'",
        "other.json": "no JSON of labelme",
        "notes.md": "not an image by its suffix",
        "empty.png": "no labels",
    }
    assert data.survey.notes == [
        "1 shape is not used: polygon of 2 points",
        "1 shape is not used: kind line",
        "1 shape is not used: kind point",
        "1 shape is not used: kind linestrip",
        "1 shape is not used: circle of 2 points",
    ]
    assert (data[0].labels == painted([(0, inside([TREE], SIZE))], SIZE)).all()
    assert data.survey.empty == {"a.png": 2}


def test_images_in_other_folders_and_of_other_systems(tmp_path):
    for folder, path in (
        ("json", "..\\images\\a.jpg"),
        ("json/deep", "C:\\Users\\me\\b.jpg"),
        ("json", "/home/me/c.jpg"),
        ("json", "../../../secret/d.jpg"),
    ):
        name = path[-5]
        photograph(tmp_path / "data/images" / f"{name}.jpg", SIZE)
        write(tmp_path / "data" / folder / f"{name}.json", json.dumps(document([shape("tree", TREE)], path)))
    photograph(tmp_path / "secret/d.jpg", SIZE)

    data = LabelMe(tmp_path / "data", "train")

    assert {drawing.file.stem: drawing.image for drawing in data.drawings} == {
        name: tmp_path / f"data/images/{name}.jpg" for name in "abcd"
    }


def test_names_in_other_normal_forms_are_the_same(tmp_path):
    photograph(tmp_path / "Stra\u00dfe \u00e4.jpg", SIZE)
    write(tmp_path / "x.json", json.dumps(document([shape("tree", TREE)], "Stra\u00dfe a\u0308.jpg")))

    assert len(LabelMe(tmp_path, "train")) == 1


def test_an_image_in_the_json_is_used_if_there_is_no_file(tmp_path):
    photograph(tmp_path / "elsewhere/a.png", SIZE, seed=5)
    content = (tmp_path / "elsewhere/a.png").read_bytes()
    data = document([shape("tree", TREE)], imageData=base64.b64encode(content).decode())
    write(tmp_path / "data/a.json", json.dumps(data))

    sample = LabelMe(tmp_path / "data", "train")[0]

    assert (sample.image == np.asarray(Image.open(io.BytesIO(content)))).all()
    assert (sample.labels == painted([(0, inside([TREE], SIZE))], SIZE)).all()
    assert sample.source == "labelme/train/a"


def test_a_damaged_image_in_the_json_is_refused(tmp_path):
    write(tmp_path / "a.json", json.dumps(document([shape("tree", TREE)], imageData="aGk=")))

    with pytest.raises(ValueError, match=r'a\.json: "imageData" cannot be read as an image'):
        LabelMe(tmp_path, "train")[0]


def test_one_file_is_a_data_set(tmp_path):
    file = store(tmp_path, [shape("tree", TREE)])
    store(tmp_path, [shape("car", TREE)], "b")

    data = open_format(file, detect(file), "val")

    assert (data.survey.used, [info.name for info in data.classes]) == (["a.png"], ["tree"])


def test_folders_with_usual_names_are_splits_with_the_same_classes(tmp_path):
    store(tmp_path / "train", [shape("tree", TREE)])
    store(tmp_path / "validation", [shape("car", TREE)])
    photograph(tmp_path / "train/unlabelled.png", SIZE)

    train, val = (LabelMe(tmp_path, split) for split in ("train", "val"))

    assert (train.survey.used, val.survey.used) == (["train/a.png"], ["validation/a.png"])
    assert [info.name for info in train.classes] == [info.name for info in val.classes] == ["car", "tree"]
    assert (train[0].labels.min(), val[0].labels.min()) == (1, 0)
    assert (list(train.survey.skipped), list(val.survey.skipped)) == (["train/unlabelled.png"], [])
    with pytest.raises(ValueError, match=r"split 'test' does not exist .*; choose train, validation"):
        LabelMe(tmp_path, "test")


def test_images_in_none_of_the_splits_are_noted(tmp_path):
    store(tmp_path / "train", [shape("tree", TREE)])
    store(tmp_path / "more", [shape("car", TREE)], "b")

    data = LabelMe(tmp_path, "train")

    assert (data.survey.used, data.survey.skipped) == (["train/a.png"], {"more/b.png": "in none of the splits"})


def test_keep_takes_some_images_with_their_shapes(tmp_path):
    for i, name in enumerate("abc"):
        store(tmp_path, [shape(f"class {i}", TREE)], name)
    data = LabelMe(tmp_path, "train")

    data.keep([2, 0])

    assert [data[i].labels.min() for i in range(len(data))] == [2, 0]
    assert [data.image_file(i).name for i in range(2)] == ["c.png", "a.png"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shapes": [{"points": TREE}]}, r"a\.json: shapes\[0\]\.label is missing"),
        ({"shapes": [shape("a", [("x", 1)])]}, r"a\.json: shapes\[0\]\.points\[0\]\[0\] is 'x'"),
        ({"shapes": [shape("a", [(1, 2, 3)])]}, r"a\.json: shapes\[0\]\.points\[0\]"),
        ({"shapes": "none"}, r"a\.json: shapes is 'none'"),
        ({"imagePath": 3}, r"a\.json: imagePath is 3"),
        (
            {"shapes": [shape("a", [(1, 2), (3, 4)], "mask")]},
            r'a\.json: shapes\[0\] is of the kind mask without "mask"',
        ),
        ({"shapes": [shape("a", [(1, 2), (3, 4)], "mask", mask="aGk")]}, r"a\.json: shapes\[0\]: 'aGk' is no base64"),
        ({"shapes": [shape("a", [(1, 2)], "line")]}, "has no shapes of labelme that can be used"),
    ],
)
def test_malformed_files_are_refused(tmp_path, change, message):
    store(tmp_path, **{"shapes": [], **change})

    with pytest.raises(ValueError, match=message):
        LabelMe(tmp_path, "train")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"imageWidth": 21}, r"a\.json: the labels were drawn on 21x14 pixels, and the upright image a\.png has 20x14"),
        ({"shapes": [shape("a", [(1, 2), (6, 7)], "mask", mask=png(BLOB))]}, r"a\.json: .*'a'.* 6x5 .* cover 6x6"),
        ({"shapes": [shape("a", [(1, 2), (6, 6)], "mask", mask="aGk=")]}, r"a\.json: a shape of the class 'a'"),
    ],
)
def test_labels_that_do_not_fit_the_image_are_refused(tmp_path, change, message):
    store(tmp_path, **{"shapes": [shape("a", TREE)], **change})
    data = LabelMe(tmp_path, "train")

    with pytest.raises(ValueError, match=message):
        data[0]


def test_two_files_for_one_image_are_refused(tmp_path):
    store(tmp_path, [shape("a", TREE)])
    write(tmp_path / "b.json", json.dumps(document([shape("a", TREE)], "a.png")))

    with pytest.raises(ValueError, match=r"a\.json and .*b\.json: the image a\.png is labelled twice"):
        LabelMe(tmp_path, "train")


@pytest.mark.parametrize("text", ["", "__ignore__\n", "a\n\nb\n", "a\na\n"])
def test_malformed_lists_of_labels_are_refused(tmp_path, text):
    store(tmp_path, [shape("a", TREE)])
    write(tmp_path / "labels.txt", text)

    with pytest.raises(ValueError, match=r"labels\.txt: "):
        LabelMe(tmp_path, "train")


def test_other_files_are_not_taken_for_labelme(tmp_path):
    write(tmp_path / "coco.json", json.dumps({"images": [], "annotations": [], "categories": []}))
    write(tmp_path / "list.json", json.dumps([{"shapes": [], "imagePath": "a"}]))
    write(tmp_path / "svg.json", json.dumps({"shapes": [1], "canvas": 3}))
    photograph(tmp_path / "a.png", SIZE)

    assert not LabelMe.found(tmp_path)
    assert not LabelMe.found(tmp_path / "a.png")
    with pytest.raises(ValueError, match="does not exist"):
        LabelMe(tmp_path / "none", "train")
