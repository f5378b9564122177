"""Parts of the ML backend of Label Studio: brush codes, masks, outlines, configurations, options, corrections."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage
from uvicorn.protocols.http import h11_impl

from model_store.labelled.brush import decode_brush
from segsort_label_studio import command
from segsort_label_studio.answers import image_key
from segsort_label_studio.brush import pack, unpack
from segsort_label_studio.config import class_labels, label_class, read_config
from segsort_label_studio.corrections import core
from segsort_label_studio.errors import BackendError
from segsort_label_studio.label_studio import LabelStudio
from segsort_label_studio.masks import fill, pieces, region_mask, ring
from segsort_label_studio.options import Options
from tests.integrations.label_studio.studio import BRUSH
from tests.written_commands import commands

ROOT = Path(__file__).parents[3]


def blobs(random: np.random.Generator) -> np.ndarray:
    """[H, W] bool of several pieces with holes."""
    H, W = random.integers(1, 60, 2)
    return ndimage.uniform_filter(random.random((H, W)), 3) > 0.5


@pytest.mark.parametrize("seed", range(20))
def test_brush_codes_are_read_by_another_decoder_and_by_ours(seed: int) -> None:
    mask = blobs(np.random.default_rng(seed))
    code = bytes(pack(mask))
    np.testing.assert_array_equal(decode_brush(code, mask.shape), mask)
    np.testing.assert_array_equal(unpack(code, mask.shape), mask)


def test_long_runs_of_a_large_mask_are_divided() -> None:
    mask = np.zeros((600, 800), dtype=bool)
    mask[300:] = True
    np.testing.assert_array_equal(decode_brush(bytes(pack(mask)), mask.shape), mask)


@pytest.mark.parametrize("code", [b"", b"\0\0\0\1", bytes(pack(np.ones((4, 4), dtype=bool)))[:-1]])
def test_a_broken_brush_code_is_refused(code: bytes) -> None:
    with pytest.raises(ValueError, match="brush region"):
        unpack(code, (4, 4))


@pytest.mark.parametrize("seed", range(20))
def test_pieces_and_outlines_agree_with_scipy(seed: int) -> None:
    mask = blobs(np.random.default_rng(seed))
    found = pieces(mask)
    numbers, count = ndimage.label(mask)
    assert len(found) == count
    assert [part.sum() for part in found] == sorted(np.bincount(numbers[mask])[1:].tolist(), reverse=True)
    for part in found:
        filled = ndimage.binary_fill_holes(np.pad(part, 1), structure=np.ones((3, 3)))[1:-1, 1:-1]
        np.testing.assert_array_equal(fill(ring(part, 0.0), mask.shape), filled)


def test_a_simplified_outline_passes_at_most_the_tolerance_beside_the_edge() -> None:
    y, x = np.mgrid[:120, :160]
    disc = (x - 80) ** 2 + (y - 60) ** 2 < 50**2
    points = ring(disc, 1.5)
    drawn = fill(points, disc.shape)
    near = ndimage.distance_transform_edt(disc) + ndimage.distance_transform_edt(~disc)
    assert len(points) < 40
    assert near[drawn != disc].max() <= 2.5


def test_shapes_cover_the_pixels_whose_centre_is_inside() -> None:
    size = (50, 100)
    box = region_mask("rectangle", {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0}, size)
    expected = np.zeros(size, dtype=bool)
    expected[10:30, 10:40] = True
    np.testing.assert_array_equal(box, expected)
    turned = region_mask("rectangle", {"x": 50, "y": 20, "width": 20, "height": 20, "rotation": 90}, size)
    assert turned.sum() == 10 * 20
    assert turned[10:30, 40:50].all(), "it turns clockwise around its first corner"
    ellipse = region_mask("ellipse", {"x": 50, "y": 50, "radiusX": 20, "radiusY": 20, "rotation": 0}, size)
    picture = Image.new("1", (100, 50))
    ImageDraw.Draw(picture).ellipse((30, 15, 70, 35), fill=1)
    assert np.mean(np.array(picture) != ellipse) < 0.02


@pytest.mark.parametrize(("kind", "value"), [
    ("polygon", {"points": [[0, 0], [1, 1]]}), ("polygon", {}), ("rectangle", {"x": 1}), ("brush", {"rle": [300]}),
    ("ellipse", {"x": 1, "y": 1, "radiusX": 0, "radiusY": 1}),
    ("polygon", {"points": [[0, 0], [1, float("nan")], [2, 2]]}),
    ("brush", {"format": "png", "rle": []}),
])  # fmt: skip
def test_a_malformed_region_is_refused(kind: str, value: dict) -> None:
    with pytest.raises(ValueError, match=r"malformed|polygon|ellipse|brush|bytes"):
        region_mask(kind, value, (4, 4))


def test_classes_get_labels_by_name_then_case_then_predicted_values() -> None:
    (surface,) = read_config(BRUSH)
    control = surface.control("brush")
    assert control is not None
    assert class_labels(control, ["brick", "grass", "OCEAN", "sand"]) == {
        "brick": "Brick", "grass": "grass", "OCEAN": "Sea",
    }  # fmt: skip
    assert label_class(control, "Sea", ["ocean", "water"]) == "ocean"
    assert label_class(control, "Brick", ["ocean", "brick"]) == "brick"
    assert label_class(control, "Brick", []) == "Brick"


def test_a_configuration_may_have_several_images_and_lists_of_images() -> None:
    config = (
        '<View><Image name="a" value="$left"/><Image name="b" valueList="$rest"/><Image name="c" value="$none"/>'
        '<PolygonLabels name="p" toName="a"><Label value="x"/></PolygonLabels>'
        '<BrushLabels name="q" toName="b"><Label value="x"/></BrushLabels></View>'
    )
    found = [(one.name, one.key, one.several, [c.kind for c in one.controls]) for one in read_config(config)]
    assert found == [("a", "left", False, ["polygon"]), ("b", "rest", True, ["brush"])]


@pytest.mark.parametrize(
    "text", ["[1]", "{", '{"regions": "all"}', '{"shape": []}', '{"shapes": ["circle"]}', '{"scope": []}']
)
def test_options_of_a_project_are_checked(text: str) -> None:
    with pytest.raises(ValueError, match=r"extra param"):
        Options().of_project(text)


@pytest.mark.parametrize("text", ["", "null", '""', '{"unknown": true}', '"{\\"unknown\\": true}"'])
def test_options_of_a_project_may_be_an_object_or_the_text_of_one(text: str) -> None:
    assert Options().of_project(text).unknown == ("unknown" in text)


def test_a_rim_has_no_core_and_a_disc_has() -> None:
    y, x = np.mgrid[:60, :60]
    disc = (x - 30) ** 2 + (y - 30) ** 2 < 20**2
    np.testing.assert_array_equal(core(disc, 1), ndimage.binary_erosion(disc, np.ones((3, 3)), border_value=1))
    assert not core(disc & ~ndimage.binary_erosion(disc), 1).any()


def test_presigned_urls_of_one_image_are_one_image() -> None:
    url = "https://bucket.s3.amazonaws.com/a.png"
    assert image_key(f"{url}?X-Amz-Signature=1") == image_key(f"{url}?X-Amz-Signature=2")
    assert image_key("https://host/a?id=1") != image_key("https://host/a?id=2")


def test_cloud_storage_is_asked_for_through_label_studio() -> None:
    server = LabelStudio("http://label-studio:8080/", None, 100)
    assert server._url("s3://bucket/a b.png", 7) == (
        "http://label-studio:8080/tasks/7/resolve/?fileuri=czM6Ly9idWNrZXQvYSBiLnBuZw%3D%3D"
    )
    assert server._url("/data/local-files/?d=a.png", 7) == "http://label-studio:8080/data/local-files/?d=a.png"
    assert server._url("upload/3/a.png", 7) == "http://label-studio:8080/data/upload/3/a.png"
    with pytest.raises(BackendError, match="no address"):
        server._url("//host/a.png", 7)
    server.close()


@pytest.mark.parametrize("arguments", [
    ["--segsort", "localhost:8000"], ["--shapes", "circle"], ["--basic-auth-user", "anna"], ["--port", "x"],
])  # fmt: skip
def test_a_wrong_option_is_said_and_ends_the_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert arguments[0].removeprefix("--").replace("-", "")[:5] in capsys.readouterr().err.replace("-", "")


def test_errors_have_phrases_of_their_own_in_the_status_line() -> None:
    """Of an error, Label Studio shows the status line alone. uvicorn takes the phrase from this table."""
    command.use_phrases()
    assert h11_impl.STATUS_PHRASES[503] == b"The segsort service does not answer. Start it or correct its address"


def test_every_option_that_the_page_names_exists_and_every_option_is_named() -> None:
    text = (ROOT / "docs/integrations/label-studio.md").read_text()
    options = set(command.parser()._option_string_actions) - {"-h", "--help"}
    assert options == set(re.findall(r"`(--[a-z-]+)`", text.split("## Options")[1].split("## With Docker")[0]))
    written = [one for one in commands("docs/integrations/label-studio.md") if one.program == "segsort-label-studio"]
    assert written
    assert {flag for one in written for flag in one.flags} <= options
