"""Predictions of Label Studio's ML backend: regions of the labels of a configuration, and images that are sent once."""

from pathlib import Path

import numpy as np
from pycocotools import mask as coco

from tests.integrations.label_studio.studio import BOXES, BRUSH, LABELS, POLYGONS, Studio, data_url, studio


def test_setup_gives_the_release_and_the_newest_edit_as_the_version_of_the_model(label_studio: Studio) -> None:
    body = {
        "project": "3.1764488005", "schema": BRUSH, "hostname": "http://localhost:8080", "access_token": "t",
        "extra_params": None,
    }  # fmt: skip
    answer = label_studio.backend.post("/setup", json=body)
    ready = label_studio.service.get("/readyz").json()
    assert answer.status_code == 200
    assert answer.json() == {"model_version": f"{ready['release']}-{ready['release_digest'][:8]}-r0"}
    assert label_studio.backend.get("/versions").json() == {"versions": [answer.json()["model_version"]]}


def test_a_prediction_has_a_brush_region_for_each_object_with_the_labels_of_the_configuration(
    label_studio: Studio,
) -> None:
    found = label_studio.prediction()
    answer = label_studio.service.get("/segmentations").json()
    known = label_studio.service.get(f"/segmentations/{answer[0]['segmentation_id']}").json()
    assert len(answer) == 1
    expected = np.full((72, 96), "", dtype="<U10")
    for segment in known["segments"]:
        if segment["known"]:
            expected[coco.decode(segment["mask"]).astype(bool)] = LABELS[segment["class_name"]]
    np.testing.assert_array_equal(label_studio.label_map(found), expected)
    assert len(found["result"]) < len(known["segments"]), "touching segments with one label are one region"
    assert 0 < found["score"] <= 1
    for one in found["result"]:
        assert (one["original_width"], one["original_height"], one["image_rotation"]) == (96, 72, 0)
        assert "/explain/" in one["meta"]["text"][0]
        assert "Nearest exemplars" in one["meta"]["text"][0]


def test_an_image_is_sent_to_the_service_once(label_studio: Studio) -> None:
    first, second = label_studio.prediction(), label_studio.prediction()
    assert first == second
    assert len(label_studio.service.get("/segmentations").json()) == 1


def test_after_a_restart_the_image_is_not_sent_again(service: str, tmp_path: Path) -> None:
    with studio(service, tmp_path / "backend") as before:
        first = before.prediction()
    with studio(service, tmp_path / "backend") as after:
        assert after.prediction() == first
        assert len(after.service.get("/segmentations").json()) == 1


def test_polygons_and_boxes_are_predicted_where_the_configuration_has_no_brush(label_studio: Studio) -> None:
    brush = label_studio.label_map(label_studio.prediction())
    label_studio.config = POLYGONS
    polygons = label_studio.prediction()["result"]
    label_studio.config = BOXES
    boxes = label_studio.prediction()["result"]
    assert {one["type"] for one in polygons} == {"polygonlabels"}
    assert {one["type"] for one in boxes} == {"rectanglelabels"}
    for one in [*polygons, *boxes]:
        value = one["value"]
        points = value.get("points") or [[value["x"], value["y"]], [value["x"] + value["width"], value["y"]]]
        assert np.min(points) >= 0
        assert np.max(points) <= 100.0001
    box = next(one for one in boxes if one["value"]["rectanglelabels"] == ["Sea"])["value"]
    rows, columns = np.nonzero(brush == "Sea")
    assert box["x"] * 0.96 >= columns.min() - 1e-6
    assert (box["y"] + box["height"]) * 0.72 <= rows.max() + 1 + 1e-6


def test_classes_without_a_label_are_reported_and_left_out(label_studio: Studio) -> None:
    label_studio.config = BRUSH.replace('<Label value="grass"/>', "")
    found = label_studio.prediction()
    assert {one["value"]["brushlabels"][0] for one in found["result"]} <= {"Brick", "Sea"}
    page = label_studio.backend.get("/", headers={"accept": "text/html"}).text
    assert "grass" in page


def test_unknown_segments_are_predicted_only_if_asked(label_studio: Studio, service: str, tmp_path: Path) -> None:
    strange = np.full((72, 96, 3), 255, dtype=np.uint8)
    strange[:, :48] = (250, 0, 250)
    image = data_url(strange)
    known = label_studio.prediction(2, image)["result"]
    with studio(service, tmp_path / "other", unknown=None) as asked:
        found = asked.prediction(2, image)["result"]
    assert len(found) > len(known)
    assert any("unlike all exemplars" in one["meta"]["text"][0] for one in found)


def test_extra_params_of_a_model_are_options_of_its_project(label_studio: Studio) -> None:
    objects = len(label_studio.prediction()["result"])
    body = {"project": "3.1", "schema": BRUSH, "extra_params": {"regions": "segments"}}
    assert label_studio.backend.post("/setup", json=body).status_code == 200
    assert len(label_studio.prediction()["result"]) > objects
    refused = label_studio.backend.post("/setup", json=body | {"extra_params": '{"colour": 1}'})
    assert refused.status_code == 400
    assert "colour" in refused.json()["error"]
