"""CVAT: points and boxes choose segments, outlines become polygons, and serverless functions answer."""

import base64
import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("cvat_sdk", reason="cvat-sdk is not installed")

from cvat_sdk.masks import decode_mask

from segsort_client import Client
from segsort_client.results.base import PolygonMask
from segsort_cvat import function, interaction
from segsort_cvat.outlines import polygons, signed_area, simplified
from segsort_cvat.prompts import chosen
from tests.integrations.cvat.frames import expected, frame
from tests.integrations.cvat.server import CvatServer

NUCLIO = Path(function.__file__).parents[1] / "nuclio"


def test_points_and_boxes_choose_whole_segments(server: CvatServer, client: Client, address: str) -> None:
    made = interaction.create(address=address)
    context, image = SimpleNamespace(), frame(server, 0)
    segments = made.preprocess_image(context, image)
    np.testing.assert_array_equal(segments, client.segment(image).to_label_map("segment"))
    prompts = SimpleNamespace(pos_points=[(3.2, 4.7)], neg_points=[], bounding_box=None)
    (shape,) = made.detect(context, segments, prompts)
    height, width = segments.shape
    found = decode_mask(shape.points, image_width=width, image_height=height)
    np.testing.assert_array_equal(found, segments == segments[4, 3])
    prompts.neg_points = prompts.pos_points
    assert made.detect(context, segments, prompts) == []
    assert made.spec.min_pos_points == 0
    made.close()


def test_a_box_chooses_what_lies_in_it_by_more_than_half_and_cuts_it() -> None:
    segments = np.repeat(np.array([[0, 0, 1, 1, 1, 1, 2, 2]], dtype=np.int32), 4, axis=0)
    found = chosen(segments, [], [], ((1.4, 0.0), (4.6, 9.0)))
    np.testing.assert_array_equal(found[0], [False, False, True, True, True, False, False, False])
    found = chosen(segments, [(100.0, -5.0)], [(2.0, 0.0)], ((1.4, 0.0), (4.6, 9.0)))
    np.testing.assert_array_equal(found[3], [False] * 6 + [True] * 2)


def test_polygons_have_no_holes_no_specks_and_few_points() -> None:
    outer = [(x, 0) for x in range(9)] + [(9, y) for y in range(9)] + [(9, 9), (0, 9), (0, 0)]
    hole = ((3, 3), (3, 6), (6, 6), (6, 3), (3, 3))
    island, speck = ((20, 0), (24, 0), (24, 4), (20, 4), (20, 0)), ((30, 0), (31, 0), (31, 1), (30, 1), (30, 0))
    region = PolygonMask((40, 40), (hole, tuple(outer), island, speck))
    found = [np.array(polygon).reshape(-1, 2).tolist() for polygon in polygons(region)]
    assert found == [[[0, 0], [9, 0], [9, 9], [0, 9]], [[20, 0], [24, 0], [24, 4], [20, 4]]]
    assert len(next(polygons(region, tolerance=0))) == 2 * (len(outer) - 1)
    assert list(polygons(PolygonMask((9, 9), (speck,)))), "the only outline stays, however small"


def test_a_simplified_outline_stays_within_the_tolerance() -> None:
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    ring = np.stack([50 + 30 * np.cos(angles), 50 + 20 * np.sin(angles)], axis=1)
    for tolerance in (0.2, 1.0, 3.0):
        fewer = simplified(ring, tolerance)
        assert len(fewer) < 60
        assert abs(signed_area(fewer)) == pytest.approx(abs(signed_area(ring)), rel=0.05 * max(1.0, tolerance))
        ends = np.roll(fewer, -1, axis=0)
        lines = ends - fewer
        for point in ring:  # a naive oracle: the distance to the nearest side
            along = np.clip(((point - fewer) * lines).sum(1) / (lines**2).sum(1), 0, 1)[:, None]
            assert np.hypot(*(fewer + along * lines - point).T).min() <= tolerance + 1e-9


def handled(name: str, address: str, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the serverless function of a folder answers, as nuclio calls it."""
    monkeypatch.setenv("SEGSORT_ADDRESS", address)
    monkeypatch.setenv("SEGSORT_UNKNOWN", "true")
    spec = spec_from_file_location(f"nuclio_{name}", NUCLIO / name / "main.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    context = SimpleNamespace(user_data=SimpleNamespace(), Response=lambda **parts: SimpleNamespace(**parts))
    module.init_context(context)
    answer = module.handler(context, SimpleNamespace(body=body))
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    context.user_data.client.close()
    return json.loads(answer.body)


def test_the_serverless_detector_sends_masks_as_cvat_reads_them(
    server: CvatServer, client: Client, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"image": base64.b64encode(server.images["a.png"]).decode()}
    found = handled("detector", address, body, monkeypatch)
    wanted = expected(client, server, 0, True)
    assert [one["label"] for one in found] == [name for name, _ in wanted]
    for one, (_, mask) in zip(found, wanted, strict=True):
        *pixels, left, top, right, bottom = one["mask"]  # as cvat/apps/lambda_manager takes it apart
        read = np.zeros_like(mask)
        read[top : bottom + 1, left : right + 1] = np.array(pixels).reshape(bottom - top + 1, right - left + 1)
        np.testing.assert_array_equal(read, mask)
        assert 0 <= float(one["confidence"]) <= 1
        assert len(one["points"]) >= 6
    assert handled("detector", address, body | {"threshold": 1.01}, monkeypatch) == [
        one for one in found if client.segment(frame(server, 0)).segments[found.index(one)].confidence is None
    ]


def test_the_serverless_interactor_answers_with_the_mask_of_the_image(
    server: CvatServer, client: Client, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = client.segment(frame(server, 0)).to_label_map("segment")
    body = {"image": base64.b64encode(server.images["a.png"]).decode(), "pos_points": [[3, 4]], "neg_points": []}
    found = np.array(handled("interactor", address, body, monkeypatch)["mask"])
    np.testing.assert_array_equal(found, 255 * (segments == segments[4, 3]))


@pytest.mark.parametrize("name", ["detector", "interactor"])
def test_the_serverless_functions_are_declared_as_cvat_reads_them(name: str) -> None:
    declared = yaml.safe_load((NUCLIO / name / "function.yaml").read_text())
    annotations = declared["metadata"]["annotations"]
    assert annotations["type"] == name
    assert declared["spec"]["handler"] == "main:handler"
    labels = json.loads(annotations["spec"] or "[]")
    assert {tuple(one) for one in labels} <= {("id", "name", "type")}
