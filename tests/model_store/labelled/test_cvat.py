"""CVAT for images 1.1: exports of tasks and of projects, as CVAT writes them."""

from pathlib import Path

import numpy as np
import pytest

from model_store.labelled import IGNORE, detect, open_format
from model_store.labelled.cvat import Cvat, read_xml
from tests.model_store.labelled.naive import inside, painted, photograph, write
from tests.model_store.labelled.naive_shapes import at, elliptic, runs_of, turned_box

SIZE = (15, 21)
TREE = [(1.5, 1.0), (12.0, 2.5), (9.0, 13.5), (2.0, 10.0)]
BLOB = np.random.default_rng(0).random((5, 6)) > 0.4
RUNS = ", ".join(map(str, runs_of(BLOB)))
LABELS = (
    ("road", "#b3b3b3", "any"),
    ("car", "#fa3253", "polygon"),
    ("tree", "#33ddff", "mask"),
    ("dot", "#112233", "points"),
    ("walker", "#2a7dd1", "skeleton"),
)
DISC = [
    "...#####.....",
    "..#######....",
    ".#########...",
    "###########..",
    "###########..",
    "############.",
    "############.",
    "#############",
    "#############",
    ".############",
    ".############",
    "..###########",
    "...#########.",
    "....#######..",
    ".....#####...",
]


def polygon(label, points, **more):
    return element("polygon", label, points=";".join(f"{x:.2f},{y:.2f}" for x, y in points), **more)


def element(tag, label, **attributes):
    rest = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f'    <{tag} label="{label}" source="manual" occluded="0" {rest}>\n    </{tag}>\n'


def image(name, shapes="", number=0, **more):
    rest = "".join(
        f' {key}="{value}"'
        for key, value in {**more, "width": more.get("width", SIZE[1]), "height": more.get("height", SIZE[0])}.items()
    )
    return f'  <image id="{number}" name="{name}"{rest}>\n{shapes}  </image>\n'


def document(*images, labels=LABELS, kind="task"):
    written = "".join(
        f"<label><name>{name}</name><color>{color}</color><type>{what}</type><attributes></attributes></label>"
        for name, color, what in labels
    )
    parts = "<label><name>nose</name><color>#d12345</color><type>any</type><parent>walker</parent></label>"
    meta = f"<meta><{kind}><id>4</id><labels>{written}{parts}</labels></{kind}></meta>" if labels else ""
    body = "".join(images)
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    return f"{head}{meta}\n{body}</annotations>\n"


def store(root: Path, shapes: str, **more) -> Cvat:
    photograph(root / "images/a.png", SIZE)
    write(root / "annotations.xml", document(image("a.png", shapes), **more))
    return Cvat(root, "train")


def test_all_kinds_of_shapes_with_an_area(tmp_path):
    data = store(
        tmp_path,
        polygon("road", TREE, z_order=0)
        + element("box", "car", xtl="10.00", ytl="3.10", xbr="16.20", ybr="9.00", z_order="0")
        + element("box", "road", xtl="2.00", ytl="8.00", xbr="9.00", ybr="11.00", rotation="30.50", z_order="0")
        + element("ellipse", "tree", cx="14.00", cy="9.00", rx="5.50", ry="2.25", rotation="40.00", z_order="0")
        + element("ellipse", "car", cx="3.00", cy="3.00", rx="1.50", ry="2.25", z_order="0")
        + element("mask", "tree", rle=RUNS, left="14", top="9", width="6", height="5", z_order="0"),
    )

    assert detect(tmp_path) == "cvat"
    assert [(info.name, info.color) for info in data.classes] == [
        ("road", (179, 179, 179)),
        ("car", (250, 50, 83)),
        ("tree", (51, 221, 255)),
    ]
    box = [(10.0, 3.1), (16.2, 3.1), (16.2, 9.0), (10.0, 9.0)]
    expected = painted(
        [
            (0, inside([TREE], SIZE)),
            (1, inside([box], SIZE)),
            (0, inside([turned_box(2, 8, 9, 11, 30.5, (5.5, 9.5))], SIZE)),
            (2, elliptic((14, 9), (5.5, 2.25), 40, SIZE)),
            (1, elliptic((3, 3), (1.5, 2.25), 0, SIZE)),
            (2, at(BLOB, 14, 9, SIZE)),
        ],
        SIZE,
    )
    assert (data[0].labels == expected).all()
    assert set(np.unique(expected)) == {0, 1, 2, IGNORE}
    assert data.survey.notes == []


def test_the_mask_of_the_documentation_is_a_disc(tmp_path):
    """docs.cvat.ai, XML annotation format: the example of a mask."""
    runs = "3, 5, 7, 7, 5, 9, 3, 11, 2, 11, 2, 12, 1, 12, 1, 26, 1, 12, 1, 12, 2, 11, 3, 9, 5, 7, 7, 5, 3"
    mask = element("mask", "car", rle=runs, left="4", top="0", width="13", height="15", z_order="0")

    found = store(tmp_path, mask)[0].labels == 1

    assert ["".join(".#"[int(value)] for value in row) for row in found[:, 4:17]] == DISC
    assert found.sum() == sum(row.count("#") for row in DISC)


def test_z_order_decides_which_shape_covers_the_other(tmp_path):
    data = store(
        tmp_path,
        polygon("car", TREE, z_order=2)
        + polygon("road", TREE[:3], z_order=-1)
        + polygon("tree", TREE[1:], z_order=0)
        + polygon("road", TREE[1:], z_order=2),
    )

    expected = painted(
        [
            (0, inside([TREE[:3]], SIZE)),
            (2, inside([TREE[1:]], SIZE)),
            (1, inside([TREE], SIZE)),
            (0, inside([TREE[1:]], SIZE)),
        ],
        SIZE,
    )
    assert (data[0].labels == expected).all()
    assert {0, 1} <= set(np.unique(expected))


def test_shapes_without_an_area_are_noted(tmp_path):
    lines = "".join(element(tag, "dot", points="1,1;5,5", z_order="0") for tag in ("polyline", "points", "polyline"))
    skeleton = '<skeleton label="walker" z_order="0"><points label="nose" points="1,1"></points></skeleton>'
    data = store(
        tmp_path,
        lines
        + skeleton
        + '<tag label="good" source="manual"></tag>'
        + element("cuboid", "car", xtl1="1", ytl1="2")
        + polygon("car", TREE)
        + polygon("car", TREE[:2])
        + element("ellipse", "car", cx="3", cy="3", rx="0", ry="2")
        + polygon("ghost", TREE),
    )

    assert (data[0].labels == painted([(1, inside([TREE], SIZE))], SIZE)).all()
    assert data.survey.notes == [
        "2 shapes are not used: kind polyline",
        "1 shape is not used: kind points",
        "1 shape is not used: kind skeleton",
        "1 shape is not used: kind tag",
        "1 shape is not used: kind cuboid",
        "1 shape is not used: polygon with fewer than three points, or without extent",
        "1 shape is not used: ellipse with fewer than three points, or without extent",
        "1 shape is not used: class 'ghost' is not listed",
    ]


def test_images_without_shapes_or_files_are_noted(tmp_path):
    photograph(tmp_path / "images/a.png", SIZE)
    photograph(tmp_path / "images/empty.png", SIZE)
    photograph(tmp_path / "images/new.png", SIZE)
    write(tmp_path / "images/readme.txt", "")
    write(
        tmp_path / "annotations.xml",
        document(image("a.png", polygon("car", TREE)), image("empty.png"), image("lost.png", polygon("car", TREE))),
    )

    data = Cvat(tmp_path, "train")

    assert data.survey.used == ["images/a.png"]
    assert data.survey.skipped == {
        "images/empty.png": "no labels",
        "images/new.png": "not named by the XML",
        "images/lost.png": "named by the XML, but missing",
        "images/readme.txt": "not an image by its suffix",
    }


def project(root: Path) -> None:
    for subset in ("Train", "Validation"):
        photograph(root / f"images/{subset}/sub/a.png", SIZE)
    shapes = {"Train": polygon("car", TREE), "Validation": polygon("tree", TREE[:3])}
    write(
        root / "annotations.xml",
        document(*(image("sub/a.png", shapes[subset], subset=subset, task_id=7) for subset in shapes), kind="project"),
    )


def test_subsets_of_a_project_are_splits(tmp_path):
    project(tmp_path)

    train, val = open_format(tmp_path, "cvat", "train"), open_format(tmp_path, "cvat", "val")

    assert (train.survey.used, val.survey.used) == (["images/Train/sub/a.png"], ["images/Validation/sub/a.png"])
    assert (train[0].labels == painted([(1, inside([TREE], SIZE))], SIZE)).all()
    assert (val[0].labels == painted([(2, inside([TREE[:3]], SIZE))], SIZE)).all()
    with pytest.raises(ValueError, match=r"split 'test' does not exist .*; choose Train, Validation"):
        Cvat(tmp_path, "test")


def test_the_default_subset_alone_is_no_split(tmp_path):
    photograph(tmp_path / "images/default/a.png", SIZE)
    write(tmp_path / "annotations.xml", document(image("a.png", polygon("car", TREE), subset="default", task_id=1)))

    assert len(Cvat(tmp_path, "whatever")) == 1


def test_frames_of_a_video_have_names_without_a_suffix(tmp_path):
    photograph(tmp_path / "images/frame_000000.png", SIZE)
    write(tmp_path / "annotations.xml", document(image("frame_000000", polygon("car", TREE))))

    assert Cvat(tmp_path, "train").survey.used == ["images/frame_000000.png"]


def test_without_meta_the_classes_are_the_labels_in_alphabetical_order(tmp_path):
    data = store(tmp_path, polygon("tree", TREE) + polygon("car", TREE[:3]), labels=())

    assert [info.name for info in data.classes] == ["car", "tree"]
    assert len({info.color for info in data.classes}) == 2


def test_labels_that_are_stated_for_each_task_are_one_class(tmp_path):
    assert len(store(tmp_path, polygon("car", TREE), labels=(*LABELS, *LABELS)).classes) == 3


def test_the_xml_may_have_another_name_and_lie_beside_the_images(tmp_path):
    photograph(tmp_path / "a.png", SIZE)
    file = write(tmp_path / "job_7.xml", document(image("a.png", polygon("car", TREE))))
    write(tmp_path / "voc.xml", "<annotation><folder>x</folder></annotation>")

    assert (detect(tmp_path), detect(file)) == ("cvat", "cvat")
    for root in (tmp_path, file):
        data = Cvat(root, "train")
        assert (data.survey.used, data.survey.skipped) == (["a.png"], {"voc.xml": "not job_7.xml"})


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (element("polygon", "car", points="1,2;3"), '<polygon> has points="1,2;3"; x,y;x,y;... is needed'),
        (element("polygon", "car", points="1,2;3,nan;4,4"), '<polygon> has points="1,2;3,nan;4,4"'),
        (element("polygon", "car"), '<polygon> has points=""'),
        (element("box", "car", xtl="1", ytl="2", xbr="x", ybr="3"), '<box> has xbr="x"; a number is needed'),
        (element("box", "car", xtl="1", ytl="2", xbr="3"), '<box> has ybr=""; a number is needed'),
        (element("ellipse", "car", cx="1", cy="2", rx="inf", ry="3"), '<ellipse> has rx="inf"'),
        (
            element("mask", "car", rle="1,2", left="0", top="0", width="2", height="2"),
            "<mask> has runs of 3 pixels for 2x2",
        ),
        (
            element("mask", "car", rle="0,400", left="0", top="0", width="20", height="20"),
            "at most as large as the image",
        ),
        (element("mask", "car", rle="-1,5", left="0", top="0", width="2", height="2"), "<mask> has runs of 4 pixels"),
        (element("mask", "car", rle="1;2", left="0", top="0", width="2", height="2"), '<mask> has rle="1;2"'),
        (
            element("mask", "car", rle="99999999999999999999", left="0", top="0", width="2", height="2"),
            "<mask> has rle=",
        ),
        (
            element("mask", "car", rle="4", left="0.5", top="0", width="2", height="2"),
            '<mask> has left="0.5"; a whole number',
        ),
        (element("polygon", "", points="1,1;2,2;3,1"), '<polygon> has label=""; a name is needed'),
        (polygon("car", TREE, z_order="top"), 'has z_order="top"'),
    ],
)
def test_malformed_shapes_are_refused_with_the_file_and_the_image(tmp_path, shapes, message):
    with pytest.raises(ValueError, match=r"annotations\.xml: the image 'a\.png'") as error:
        store(tmp_path, shapes)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotations><version>1.1</version><image", r"annotations\.xml cannot be read as XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations><meta>&b;</meta></annotations>', "it has a <!DOCTYPE>"),
        ("<annotations><version>1.1</version></annotations>", "there are 0 classes"),
        (document('<track id="0" label="car"></track>'), r"annotations\.xml is of CVAT for video; export the task as"),
        (document(image("a.png", height="x")), """the image 'a.png' has height="x"; a number"""),
        (document(image("a.png")), "has no labelled image that can be used"),
        (
            document(image("lost.png", polygon("car", TREE))),
            "1 skipped, named by the XML, but missing: images/lost.png",
        ),
        (document(image("a.png", polygon("car", TREE)), image("a.png")), "the image a.png is labelled twice"),
    ],
)
def test_malformed_files_are_refused(tmp_path, text, message):
    photograph(tmp_path / "images/a.png", SIZE)
    write(tmp_path / "annotations.xml", text)

    with pytest.raises(ValueError, match=message):
        Cvat(tmp_path, "train")


def test_entities_and_external_files_are_refused(tmp_path):
    secret = write(tmp_path / "secret.txt", "hidden")
    for text in (f'<!DOCTYPE a SYSTEM "{secret}"><a/>', f'<!DOCTYPE a [<!ENTITY b SYSTEM "{secret}">]><a>&b;</a>'):
        for encoding in ("utf-8", "utf-16"):
            (tmp_path / "a.xml").write_bytes(f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding))
            with pytest.raises(ValueError, match=r"a\.xml cannot be read as XML \(it has a <!DOCTYPE>"):
                read_xml(tmp_path / "a.xml")


def test_labels_of_another_size_are_refused(tmp_path):
    photograph(tmp_path / "images/a.png", SIZE)
    write(tmp_path / "annotations.xml", document(image("a.png", polygon("car", TREE), width=30)))

    with pytest.raises(ValueError, match=r"annotations\.xml: the labels were drawn on 30x15 pixels"):
        Cvat(tmp_path, "train")[0]


def test_other_folders_are_not_taken_for_cvat(tmp_path):
    photograph(tmp_path / "a.png", SIZE)
    write(tmp_path / "annotations.xml", "<annotation><folder>voc</folder></annotation>")

    assert not Cvat.found(tmp_path)
    assert not Cvat.found(tmp_path / "annotations.xml")
    with pytest.raises(ValueError, match=r"has no annotations\.xml"):
        Cvat(tmp_path, "train")
