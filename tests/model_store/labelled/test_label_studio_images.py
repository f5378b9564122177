"""Images of an export of Label Studio are found by the names that its tasks state."""

import pytest

from model_store.labelled.label_studio import LabelStudio
from tests.model_store.labelled.naive import photograph
from tests.model_store.labelled.test_label_studio import SIZE, annotation, export, polygon, task


@pytest.mark.parametrize(
    ("stated", "stored"),
    [
        ("/data/upload/1/0a1b2c3d-a.png", "upload/1/0a1b2c3d-a.png"),
        ("/data/upload/1/0a1b2c3d-a%20b.png", "images/a b.png"),
        ("/data/upload/1/0a1b2c3d-a_b_1.png", "images/a b (1).png"),
        ("/data/local-files/?d=set%2Fdeep/a.png", "deep/a.png"),
        ("http://localhost:8080/data/local-files/?d=a.png", "a.png"),
        ("https://example.com/bucket/b%C3%A4.png?X-Signature=1#top", "pictures/bä.png"),
        ("s3://bucket/deep/a.png", "a.png"),
        ("a.png", "a.png"),
        ("C:\\images\\a.png", "images/a.png"),
        ("../../secret/a.png", "images/a.png"),
    ],
)
def test_images_are_found_by_the_names_of_uploads_files_and_urls(tmp_path, stated, stored):
    photograph(tmp_path / "secret/a.png", SIZE)
    photograph(tmp_path / "data/other.png", SIZE)
    export(tmp_path / "data", task(stated, annotation(polygon("tree"))), images=(stored,))

    data = LabelStudio(tmp_path / "data", "train")

    assert data.survey.used == [stored]
    assert data.survey.skipped == {"other.png": "no labels"}


def test_an_upload_with_its_prefix_comes_before_the_one_without(tmp_path):
    tasks = [task(f"/data/upload/1/0000000{i}-a.png", annotation(polygon(f"class {i}"))) for i in range(2)]
    export(tmp_path, *tasks, images=("00000000-a.png", "00000001-a.png"))

    data = LabelStudio(tmp_path, "train")

    assert [(image.name, data[i].labels.min()) for i, image in enumerate(data.images)] == [
        ("00000000-a.png", 0),
        ("00000001-a.png", 1),
    ]


@pytest.mark.parametrize(
    ("images", "used"),
    [
        (("a_b.png", "a b.png"), "a_b.png"),
        (("0a1b2c3d-a b.png", "a b.png"), "0a1b2c3d-a b.png"),
        (("a b.png", "a  b.png", "a_b (1).png"), "a b.png"),
    ],
)
def test_the_name_with_the_fewest_changes_is_used(tmp_path, images, used):
    export(tmp_path, task("/data/upload/1/0a1b2c3d-a_b.png", annotation(polygon("tree"))), images=images)

    assert LabelStudio(tmp_path, "train").survey.used == [used]


def test_names_that_differ_in_other_characters_are_ambiguous(tmp_path):
    export(
        tmp_path,
        task("/data/upload/1/0a1b2c3d-a_b.png", annotation(polygon("tree"))),
        task("c.png", annotation(polygon("tree"))),
        images=("a b.png", "(a b).png", "c.png"),
    )

    assert LabelStudio(tmp_path, "train").survey.used == ["c.png"]


def test_the_image_of_a_task_may_have_another_field(tmp_path):
    row = task("", annotation(polygon("tree")), data={"title": "Nr. 1", "scan": "s3://bucket/a.png"})
    export(tmp_path, row)

    assert LabelStudio(tmp_path, "train").survey.used == ["a.png"]
