"""Every example runs against a service, and imports the client alone."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from service.app import create_app
from service.settings import Settings
from tests.conftest import Blocks
from tests.service.serving import serving

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if path.stem not in ("__init__", "arguments"))


@pytest.fixture(scope="module")
def address(tiny_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), release=str(tiny_release), threads=1)
    with serving(create_app(settings)) as found:
        yield found


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(Blocks("val")[0].image).save(path)
    return path


def run(name: str, *arguments: object, address: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"examples.{name}", *map(str, arguments), "--address", address]
    path = os.pathsep.join([str(ROOT), str(ROOT / "client")])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_imports_the_client_and_nothing_else_of_this_project(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported - set(sys.stdlib_module_names) <= {"segsort_client", "examples", "numpy"}
    assert "segsort_client" in imported


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_in_the_list_of_examples(path: Path) -> None:
    text = (ROOT / "examples" / "README.md").read_text()
    assert f"python -m examples.{path.stem} " in text
    assert f"({path.name})" in text


def test_a_folder_is_segmented_into_one_coco_document(address: str, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for number in range(3):
        Image.fromarray(Blocks("val")[number].image).save(folder / "deep" / f"{number}.png")
    done = run("segment_folder", folder, "--out", tmp_path / "all.json", address=address)
    assert done.returncode == 0, done.stderr
    assert "3 of 3 images" in done.stderr
    coco = COCO(tmp_path / "all.json")
    assert [one["file_name"] for one in coco.loadImgs(coco.getImgIds())] == [f"deep/{n}.png" for n in range(3)]
    for image_id in coco.getImgIds():
        masks = [coco.annToMask(one) for one in coco.loadAnns(coco.getAnnIds(imgIds=[image_id]))]
        assert (np.sum(masks, axis=0) == 1).all()
    (folder / "broken.png").write_bytes(b"no image")
    done = run("segment_folder", folder, "--out", tmp_path / "all.json", address=address)
    assert done.returncode == 1
    assert "broken.png" in done.stderr
    assert len(json.loads((tmp_path / "all.json").read_text())["images"]) == 3


def test_a_folder_is_segmented_by_a_job_that_can_be_taken_up_again(address: str, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(Blocks("val")[0].image).save(folder / "a.png")
    (folder / "broken.png").write_bytes(b"no image")
    done = run("folder_as_job", folder, "--out", tmp_path / "one.zip", address=address)
    assert done.returncode == 0, done.stderr
    assert "broken.png: " in done.stderr
    job_id = done.stderr.split()[0]
    again = run("folder_as_job", "--job", job_id, "--out", tmp_path / "two.zip", address=address)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert run("folder_as_job", address=address).returncode == 2


def test_a_class_is_taught_by_a_stroke_and_reverted(address: str, photo: Path) -> None:
    done = run("teach_with_strokes", photo, "kerb", "5,5", "20,20", "--undo", address=address)
    assert done.returncode == 0, done.stderr
    assert "-> kerb" in done.stdout
    assert "is reverted by edit" in done.stdout


def test_a_label_is_explained(address: str, photo: Path, tmp_path: Path) -> None:
    done = run("explain_label", photo, "10,10", "--out", tmp_path / "crops", address=address)
    assert done.returncode == 0, done.stderr
    assert "of the vote" in done.stdout
    assert len(list((tmp_path / "crops").glob("*.png"))) == done.stdout.count("cosine") > 0


def test_images_are_segmented_as_they_are_completed(address: str, photo: Path) -> None:
    done = run("asynchronous", photo, photo.with_name("missing.png"), address=address)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
    assert "There is no such image file" in done.stdout
