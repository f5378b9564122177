"""The examples of docs/client.md run against a real service, one after another, as a reader would run them."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.running_service import running_service
from index_builder.datasets.streets import Streets
from segsort_client import AsyncClient, Client
from segsort_client.operations import Operations

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "client.md"
READMES = ("README.md", "client/README.md")


def program(page: Path, address: str) -> str:
    """All Python blocks of a page as one program, each at its line of the page."""
    text = page.read_text(encoding="utf-8")
    lines: list[str] = []
    for block in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        before = text[: block.start(1)].count("\n")
        lines += [""] * (before - len(lines)) + block[1].splitlines()
    return re.sub("http://(localhost|127.0.0.1):8000", address, "\n".join(lines))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("examples")
    (found / "labels").mkdir()
    Image.fromarray(Streets("val", count=1)[0].image).save(found / "photo.jpg")
    return found


@pytest.fixture(scope="module")
def names(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The variables that the examples leave, run in a folder with a photo.jpg."""
    before, found = Path.cwd(), dict[str, Any]()
    with running_service(tmp_path_factory.mktemp("data")) as address:
        os.chdir(folder)
        try:
            exec(compile(program(PAGE, address), PAGE, "exec"), found)
        finally:
            os.chdir(before)
        yield found | {"address": address}


def test_the_page_segments_and_explains(names: dict[str, Any]) -> None:
    assert len(names["answer"]) > 5
    assert len(np.unique(names["answer"].to_label_map())) > 2
    assert names["explanation"].segment_id == names["answer"].segments[0].segment_id
    assert names["crop"].startswith(b"\x89PNG")


def test_the_page_reverts_all_its_edits(names: dict[str, Any]) -> None:
    assert any(change.after == "puddle" for change in names["marked"].relabelled.changed)
    with Client(names["address"]) as client:
        assert [one for one in client.edits() if one.reverted_by is None and one.kind != "revert"] == []
        assert {"kerb", "puddle", "gravel"}.isdisjoint(one.name for one in client.classes())


def test_the_page_writes_exports(names: dict[str, Any], folder: Path) -> None:
    assert names["done"].result.images == 1
    assert json.loads((folder / "labels.json").read_text())["annotations"]
    assert (folder / "labels" / "segsort-yolo.zip").is_file()
    assert (folder / "all.zip").stat().st_size > 0
    assert names["result"].error is None


def test_every_operation_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`([a-z_]+)`", PAGE.read_text(encoding="utf-8").partition("## Errors and repeated")[2]))
    said = {
        name for name in named if name in vars(Operations) or any(name in vars(base) for base in Operations.__mro__)
    }
    assert {"segment", "revert", "undo", "pin", "import_labels", "relabel_exemplars"} <= said
    assert all(hasattr(AsyncClient, name) for name in said)


@pytest.mark.parametrize("page", READMES)
def test_the_example_of_a_readme_runs(
    page: str, names: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    code = program(ROOT / page, names["address"])
    assert "segsort_client" in code
    exec(compile(code, page, "exec"), {})
    assert capsys.readouterr().out
