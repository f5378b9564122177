"""Prompts of Label Studio's smart tools: clicks, strokes and boxes give a region."""

from typing import Any

import numpy as np

from tests.integrations.label_studio.studio import Studio, mask_of, region


def test_a_click_gives_the_object_below_it_or_the_segment_if_the_label_is_another(label_studio: Studio) -> None:
    predicted = label_studio.label_map(label_studio.prediction())
    y, x = (int(part[0]) for part in np.nonzero(predicted == "grass"))
    regions = {}
    for label in ("grass", "Sea"):
        click = {
            "id": "c", "type": "keypointlabels", "from_name": "point", "to_name": "image", "is_positive": 1,
            "value": {"x": (x + 0.5) / 0.96, "y": (y + 0.5) / 0.72, "width": 0.5, "keypointlabels": [label]},
        }  # fmt: skip
        (answer,) = label_studio.predict(context={"result": [click]}).json()["results"]
        (regions[label],) = answer["result"]
    assert regions["Sea"]["value"]["brushlabels"] == ["Sea"]
    assert (predicted[mask_of(regions["grass"])] == "grass").all()
    assert mask_of(regions["Sea"])[y, x]
    assert mask_of(regions["grass"]).sum() >= mask_of(regions["Sea"]).sum()


def test_a_stroke_of_the_smart_brush_gives_what_would_have_its_class(label_studio: Studio) -> None:
    stroke = np.zeros((72, 96), dtype=bool)
    stroke[8:12, 8:20] = True
    (answer,) = label_studio.predict(context={"result": [region("Sea", stroke)]}).json()["results"]
    (found,) = answer["result"]
    assert found["value"]["brushlabels"] == ["Sea"]
    assert mask_of(found)[stroke].all()
    assert mask_of(found).sum() > stroke.sum()
    assert label_studio.edits() == []


def test_a_click_with_alt_takes_a_segment_away_and_a_box_gives_what_lies_in_it(label_studio: Studio) -> None:
    def click(x: int, y: int, positive: bool) -> dict[str, Any]:
        value = {"x": (x + 0.5) / 0.96, "y": (y + 0.5) / 0.72, "width": 0.5, "keypointlabels": ["Sea"]}
        return {"id": "c", "type": "keypointlabels", "to_name": "image", "is_positive": positive, "value": value}

    def mask(*prompts: dict[str, Any]) -> np.ndarray:
        (answer,) = label_studio.predict(context={"result": list(prompts)}).json()["results"]
        return (
            np.any([mask_of(one) for one in answer["result"]], axis=0) if answer["result"] else np.zeros((72, 96), bool)
        )

    one, other = mask(click(5, 5, True)), mask(click(90, 65, True))
    both = mask(click(5, 5, True), click(90, 65, True))
    np.testing.assert_array_equal(both, one | other)
    np.testing.assert_array_equal(mask(click(5, 5, True), click(90, 65, True), click(90, 65, False)), one & ~other)
    box = {"x": 0, "y": 0, "width": 50, "height": 100, "rectanglelabels": ["Sea"]}
    inside = mask({"id": "b", "type": "rectanglelabels", "to_name": "image", "value": box})
    assert inside[:, :48].mean() > 0.8
    assert inside[:, 48:].mean() < 0.2
