"""What a build says about the files that it read, and when it warns."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from command_line.main import cli

COLOURS = [[200, 0, 0], [0, 200, 0], [0, 0, 200]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four images with masks of two of the three classes; leftovers and unpaired files lie among them."""
    folder = tmp_path / "data"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    names = ("crop", "weed", "soil")
    classes = [{"name": name, "color": colour} for name, colour in zip(names, COLOURS, strict=True)]
    (folder / "classes.json").write_text(json.dumps({"classes": classes, "ignore": 255}), encoding="utf-8-sig")
    random = np.random.default_rng(0)
    for i in range(4):
        labels = np.zeros((96, 128), np.uint8)
        labels[:, 64:] = 1
        labels[:10] = 255
        pixels = np.where(labels[:, :, None] == 1, [[40, 200, 60]], [[200, 60, 40]])
        pixels = pixels + random.integers(0, 30, (96, 128, 3))
        image = Image.fromarray(pixels.astype(np.uint8))
        image.save(folder / "images" / f"field{i}.{'JPG' if i % 2 else 'png'}", "JPEG" if i % 2 else "PNG")
        Image.fromarray(labels).save(folder / "masks" / f"field{i}.PNG", "PNG")
    return folder


def build(data: Path, tiny_release: Path, *more: str) -> Result:
    out = data.parent / "built"
    return CliRunner().invoke(
        cli, ["build", str(data), "--embedder", str(tiny_release), "--fit", "none", "--out", str(out), *more]
    )


def card(data: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((data.parent / "built" / "card.json").read_text())["data"]["labels"]
    return found


def test_a_build_says_what_it_read_and_records_it(data: Path, tiny_release: Path) -> None:
    (data / "images" / "._field0.png").write_bytes(b"left")
    (data / "images" / "Thumbs.db").write_bytes(b"left")
    (data / "images" / ".ipynb_checkpoints").mkdir()
    (data / "images" / "notes.txt").write_text("no image")
    (data / "masks" / "stray.png").write_bytes((data / "masks" / "field0.PNG").read_bytes())
    (data / "images" / "bare.png").write_bytes((data / "images" / "field0.png").read_bytes())
    result = build(data, tiny_release)
    assert result.exit_code == 0, result.output
    for words in (
        "4 images are used",
        "2 skipped, left by a file manager or an editor: images/._field0.png, images/Thumbs.db",
        "1 skipped, no mask: images/bare.png",
        "1 skipped, a mask without an image: masks/stray.png",
        "1 skipped, not an image by its suffix: images/notes.txt",
        "crop: 50.00% of the labelled pixels",
        "soil: 0.00% of the labelled pixels, 0 exemplars",
        "10.42% of all pixels are unlabelled",
        "Warning: the class soil has no exemplar: no pixel of the masks is labelled so",
        "Warning: 1 file was skipped, no mask: images/bare.png",
    ):
        assert words in result.stderr
    found = card(data)
    assert found["pixels_per_class"] == {"crop": 4 * 86 * 64, "weed": 4 * 86 * 64, "soil": 0}
    assert found["unlabelled_share"] == pytest.approx(10 / 96, abs=1e-6)
    assert found["files"]["skipped"]["no mask"] == {"count": 1, "files": ["images/bare.png"]}  # type: ignore[index]


def test_a_count_limits_the_images_that_are_told(data: Path, tiny_release: Path) -> None:
    assert "2 images are used" in build(data, tiny_release, "--count", "2").stderr


def test_a_strict_build_ends_with_3_if_there_is_a_warning(data: Path, tiny_release: Path) -> None:
    assert build(data, tiny_release, "--strict").exit_code == 3
    assert (data.parent / "built" / "card.json").is_file()


def test_a_strict_build_without_a_warning_ends_with_0(data: Path, tiny_release: Path) -> None:
    (data.parent / "classes.json").write_text('{"soil": null}')
    (data / "images" / ".DS_Store").write_bytes(b"left")
    result = build(data, tiny_release, "--strict", "--classes", str(data.parent / "classes.json"))
    assert result.exit_code == 0, result.output
    assert "Warning" not in result.stderr


def test_black_and_white_masks_with_255_ignored_are_told(data: Path, tiny_release: Path) -> None:
    for file in (data / "masks").iterdir():
        labels = np.asarray(Image.open(file))
        Image.fromarray(np.where(labels == 1, 255, 0).astype(np.uint8)).save(file)
    result = build(data, tiny_release)
    assert "Warning: the class weed has no exemplar: no pixel of the masks is labelled so" in result.stderr
    assert "44.79% of all pixels are unlabelled" in result.stderr


def test_classes_are_merged_renamed_and_ignored_by_a_file(data: Path, tiny_release: Path) -> None:
    (data.parent / "classes.json").write_text('{"crop": "plant", "weed": "plant", "soil": null}')
    result = build(data, tiny_release, "--classes", str(data.parent / "classes.json"))
    assert result.exit_code == 0, result.output
    assert card(data)["pixels_per_class"] == {"plant": 4 * 86 * 128}


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ('{"crops": "plant"}', "names crops, which folder does not have; its classes are crop, weed, soil"),
        ('{"crop": null, "weed": null, "soil": null}', "leaves no class"),
        ('["crop"]', "must contain an object"),
        ('{"crop": ""}', "must contain an object"),
        ("{", "cannot be read as JSON"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(data: Path, tiny_release: Path, mapping: str, said: str) -> None:
    (data.parent / "classes.json").write_text(mapping)
    result = build(data, tiny_release, "--classes", str(data.parent / "classes.json"))
    assert result.exit_code != 0
    assert said in " ".join(str(result.exception or result.output).split())


def test_two_images_of_one_name_are_refused(data: Path, tiny_release: Path) -> None:
    (data / "images" / "field0.jpg").write_bytes((data / "images" / "field1.JPG").read_bytes())
    result = build(data, tiny_release)
    assert "field0.jpg and field0.png" in str(result.exception)


def test_names_in_composed_and_decomposed_form_are_one(data: Path, tiny_release: Path) -> None:
    (data / "images" / "field0.png").rename(data / "images" / "acker-a\u0308.png")
    (data / "masks" / "field0.PNG").rename(data / "masks" / "acker-\u00e4.PNG")
    assert "4 images are used" in build(data, tiny_release).stderr


def test_conversions_of_images_are_told(data: Path, tiny_release: Path) -> None:
    grey = np.asarray(Image.open(data / "images" / "field0.png").convert("L")).astype(np.uint16) * 16
    Image.fromarray(grey).save(data / "images" / "field0.png")
    result = build(data, tiny_release)
    assert "1 converted, whole numbers up to" in result.stderr
    assert "as 12 bits, 0..255: images/field0.png" in result.stderr
