"""Annotations of Label Studio teach: corrections, shapes and strokes, new versions, and what is taken back."""

import numpy as np
import pytest
from pycocotools import mask as coco
from scipy import ndimage

from segsort_label_studio.masks import region_mask
from tests.integrations.label_studio.studio import (
    BOXES,
    BRUSH,
    POLYGONS,
    Studio,
    correction,
    data_url,
    mask_of,
    photo,
    region,
)


def test_a_corrected_region_changes_the_next_prediction(label_studio: Studio) -> None:
    changed, mask, label = correction(label_studio)
    before = label_studio.prediction()
    label_studio.webhook("ANNOTATION_CREATED", 34, [changed])
    label_studio.settled()
    after = label_studio.prediction()
    assert (label_studio.label_map(after)[mask] == label).all()
    assert after["model_version"] != before["model_version"]
    (edit,) = label_studio.edits()
    assert edit["reason"].startswith("Label Studio task 1, annotation 34, user 7")


def test_regions_as_they_were_predicted_teach_nothing(label_studio: Studio) -> None:
    label_studio.webhook("ANNOTATION_CREATED", 34, label_studio.prediction()["result"])
    label_studio.settled()
    assert label_studio.edits() == []
    assert "unchanged regions" in label_studio.application.backend.memory.latest()[0].note


def test_the_same_version_of_an_annotation_is_taught_once(label_studio: Studio) -> None:
    changed, _, _ = correction(label_studio)
    for _ in range(3):
        label_studio.webhook("ANNOTATION_UPDATED", 34, [changed])
        label_studio.settled()
    assert len(label_studio.edits()) == 1


def test_a_new_version_replaces_what_the_version_before_taught(label_studio: Studio) -> None:
    changed, mask, label = correction(label_studio)
    predicted = label_studio.label_map(label_studio.prediction())[mask][0]
    (other,) = {"Brick", "grass", "Sea"} - {label, predicted}
    label_studio.webhook("ANNOTATION_CREATED", 34, [changed])
    label_studio.settled()
    label_studio.webhook("ANNOTATION_UPDATED", 34, [region(other, mask)])
    label_studio.settled()
    assert (label_studio.label_map(label_studio.prediction())[mask] == other).all()
    made = [edit for edit in label_studio.edits() if edit["kind"] == "mark" and edit["reverted_by"] is None]
    assert len(made) == 1


def test_a_deleted_annotation_takes_back_what_it_taught(label_studio: Studio) -> None:
    before = label_studio.label_map(label_studio.prediction())
    changed, _, _ = correction(label_studio)
    label_studio.webhook("ANNOTATION_CREATED", 34, [changed])
    label_studio.settled()
    assert not np.array_equal(label_studio.label_map(label_studio.prediction()), before)
    label_studio.webhook("ANNOTATIONS_DELETED", 34)
    label_studio.settled()
    np.testing.assert_array_equal(label_studio.label_map(label_studio.prediction()), before)


def test_strokes_that_are_undone_leave_no_divided_segments(label_studio: Studio) -> None:
    mask = np.zeros((72, 96), dtype=bool)
    mask[30:44, 40:60] = True
    before = [one["meta"]["text"][0].split(":")[0] for one in label_studio.prediction()["result"]]
    label_studio.webhook("ANNOTATION_CREATED", 34, [region("Sea", mask)])
    label_studio.settled()
    label_studio.webhook("ANNOTATIONS_DELETED", 34)
    label_studio.settled()
    after = [one["meta"]["text"][0].split(":")[0] for one in label_studio.prediction()["result"]]
    assert after == before, "the regions have as many segments as before"


def test_a_skipped_annotation_teaches_nothing(label_studio: Studio) -> None:
    changed, _, _ = correction(label_studio)
    label_studio.webhook("ANNOTATION_CREATED", 34, [changed], was_cancelled=True)
    label_studio.settled()
    assert label_studio.edits() == []


def test_a_brush_region_teaches_exactly_its_pixels(label_studio: Studio) -> None:
    mask = np.zeros((72, 96), dtype=bool)
    mask[30:44, 40:60] = True
    predicted = label_studio.label_map(label_studio.prediction())
    label_studio.webhook("ANNOTATION_CREATED", 34, [region("Sea", mask)])
    label_studio.settled()
    taught = np.zeros_like(mask)
    for name in label_studio.edits()[0]["exemplar_ids"]:
        taught |= coco.decode(label_studio.service.get(f"/exemplars/{name}").json()["mask"]).astype(bool)
    assert (predicted != "Sea")[mask].any()
    np.testing.assert_array_equal(taught, mask & (predicted != "Sea"))


def test_a_label_without_class_makes_a_new_class_with_its_colour(label_studio: Studio) -> None:
    label_studio.config = BRUSH.replace(
        '<Label value="grass"/>', '<Label value="grass"/><Label value="Moss" background="#104010"/>', 1
    )
    changed, mask, _ = correction(label_studio)
    label_studio.webhook("ANNOTATION_CREATED", 34, [region("Moss", mask)])
    label_studio.settled()
    classes = {one["name"]: one["color"] for one in label_studio.service.get("/classes").json()}
    assert classes["Moss"] == "#104010"
    assert (label_studio.label_map(label_studio.prediction())[mask] == "Moss").all()


def test_edges_drawn_a_little_differently_teach_nothing_and_thin_regions_do(label_studio: Studio) -> None:
    one = max(label_studio.prediction()["result"], key=lambda entry: mask_of(entry).sum())
    label, mask = one["value"]["brushlabels"][0], mask_of(one)
    wider = ndimage.binary_dilation(mask)
    label_studio.webhook("ANNOTATION_CREATED", 34, [region(label, wider)])
    label_studio.settled()
    assert (wider & ~mask).any()
    assert label_studio.edits() == []
    line = np.zeros_like(mask)
    line[:, 47:49] = True
    new = next(name for name in ("Brick", "grass", "Sea") if name != label)
    label_studio.webhook("ANNOTATION_CREATED", 35, [region(new, line)])
    label_studio.settled()
    assert len(label_studio.edits()) == 1


def test_polygons_rectangles_and_ellipses_teach_too(label_studio: Studio) -> None:
    label = '<Label value="Sea" predicted_values="water"/>'
    tags = "".join(
        f'<{kind}Labels name="{kind.lower()}" toName="image">{label}</{kind}Labels>'
        for kind in ("Polygon", "Rectangle", "Ellipse")
    )
    label_studio.config = BRUSH.replace("</View>", tags + "</View>")
    values = {
        "polygon": {"points": [[10, 10], [30, 10], [30, 40], [10, 40]]},
        "rectangle": {"x": 40, "y": 10, "width": 20, "height": 30, "rotation": 0},
        "ellipse": {"x": 80, "y": 25, "radiusX": 10, "radiusY": 15, "rotation": 0},
    }
    regions = [
        region("", np.zeros((72, 96), dtype=bool), type=f"{kind}labels", from_name=kind, id=kind,
               value=value | {f"{kind}labels": ["Sea"]})
        for kind, value in values.items()
    ]  # fmt: skip
    label_studio.webhook("ANNOTATION_CREATED", 34, regions)
    label_studio.settled()
    names = label_studio.label_map(label_studio.prediction())
    assert (names[12:28, 12:28] == "Sea").all()
    assert (names[10:28, 40:57] == "Sea").all()
    assert (names[16:20, 72:82] == "Sea").all()


def taught_pixels(label_studio: Studio) -> np.ndarray:
    """[72, 96]: the pixels of all exemplars that edits added."""
    taught = np.zeros((72, 96), dtype=bool)
    for name in [name for edit in label_studio.edits() for name in edit["exemplar_ids"]]:
        taught |= coco.decode(label_studio.service.get(f"/exemplars/{name}").json()["mask"]).astype(bool)
    return taught


def outlined(one: dict) -> np.ndarray:
    """[72, 96]: the pixels in the outline of a polygon or a box."""
    return region_mask(one["type"].removesuffix("labels"), one["value"], (72, 96))


def framed() -> np.ndarray:
    """Grass in water in bricks, of which each lies in the outline of the next."""
    image = np.empty((72, 96, 3), dtype=np.uint8)
    image[:] = (200, 40, 30)
    image[8:64, 8:80] = (30, 60, 210)
    image[24:48, 32:56] = (40, 180, 60)
    return image


@pytest.mark.parametrize("config", [POLYGONS, BOXES])
def test_an_unchanged_region_in_the_outline_of_a_changed_one_is_not_taught(label_studio: Studio, config: str) -> None:
    label_studio.config, label_studio.image = config, data_url(framed())
    regions = label_studio.prediction()["result"]
    kind = regions[0]["type"]
    (outer,) = [one for one in regions if one["value"][kind] == ["Sea"]]
    (inner,) = [one for one in regions if one["value"][kind] == ["grass"]]
    (around,) = [one for one in regions if one["value"][kind] == ["Brick"]]
    grown = (
        {"points": [[8, 11], [99, 11], [99, 89], [8, 89]]}
        if config == POLYGONS
        else {"width": 99 - outer["value"]["x"]}
    )
    changed = outer | {"value": outer["value"] | grown}
    label_studio.webhook("ANNOTATION_CREATED", 34, [around, changed, inner])
    label_studio.settled()
    taught = taught_pixels(label_studio)
    assert taught[20:50, 84:94].all(), "what was changed is taught"
    assert not (taught & outlined(inner)).any()


@pytest.mark.parametrize("config", [POLYGONS, BOXES])
def test_the_regions_in_an_unchanged_outline_can_be_changed(label_studio: Studio, config: str) -> None:
    label_studio.config, label_studio.image = config, data_url(framed())
    regions = label_studio.prediction()["result"]
    areas = [int(outlined(one).sum()) for one in regions]
    assert areas == sorted(areas, reverse=True)
    kind = regions[0]["type"]
    (inner,) = [one for one in regions if one["value"][kind] == ["grass"]]
    inner["value"][kind] = ["Brick"]
    for number, order in ((34, regions), (35, regions[::-1])):  # an earlier version predicted them in another order
        label_studio.webhook("ANNOTATION_CREATED", number, order)
        label_studio.settled()
        assert taught_pixels(label_studio)[26:46, 34:54].all()
        label_studio.webhook("ANNOTATIONS_DELETED", number)
        label_studio.settled()


def test_a_new_region_over_unchanged_ones_is_taught(label_studio: Studio) -> None:
    label_studio.config, label_studio.image = POLYGONS, data_url(framed())
    new = {
        "id": "drawn", "type": "polygonlabels", "from_name": "polygon", "to_name": "image",
        "value": {"points": [[0, 0], [100, 0], [100, 100], [0, 100]], "polygonlabels": ["Sea"]},
    }  # fmt: skip
    label_studio.webhook("ANNOTATION_CREATED", 34, [*label_studio.prediction()["result"], new])
    label_studio.settled()
    taught = taught_pixels(label_studio)
    assert taught[26:46, 34:54].all()
    assert taught[:6].all()


def test_a_list_of_images_has_regions_on_each_and_corrections_teach_theirs(label_studio: Studio) -> None:
    label_studio.config = BRUSH.replace('value="$image"', 'valueList="$image"')
    images = [data_url(photo(0)), data_url(photo(1))]
    task = label_studio.task() | {"data": {"image": images}}
    (found,) = label_studio.predict(task).json()["results"]
    assert {one["item_index"] for one in found["result"]} == {0, 1}
    one = next(entry for entry in found["result"] if entry["item_index"] == 1)
    label = "Sea" if one["value"]["brushlabels"] != ["Sea"] else "grass"
    body = {
        "action": "ANNOTATION_CREATED", "task": task, "project": {"id": 3, "label_config": label_studio.config},
        "annotation": {"id": 34, "result": [one | {"value": one["value"] | {"brushlabels": [label]}}]},
    }  # fmt: skip
    assert label_studio.backend.post("/webhook", json=body).status_code == 201
    label_studio.settled()
    assert len(label_studio.edits()) == 1
    (after,) = label_studio.predict(task).json()["results"]
    changed = [
        entry for entry in after["result"] if entry["item_index"] == 1 and entry["value"]["brushlabels"] == [label]
    ]
    assert np.any([mask_of(entry) for entry in changed], axis=0)[mask_of(one)].all()


def test_older_servers_train_with_all_annotated_tasks(label_studio: Studio) -> None:
    changed, _, _ = correction(label_studio)
    tasks = [label_studio.task() | {"annotations": [{"id": 34, "result": [changed], "completed_by": 7}]}]
    body = {"annotations": tasks, "project": "3.1", "label_config": BRUSH, "params": {}}
    assert label_studio.backend.post("/train", json=body).status_code == 201
    label_studio.settled()
    assert len(label_studio.edits()) == 1
    assert label_studio.backend.post("/job_status", json={"job": "project-3"}).json() == {"job_status": "finished"}
