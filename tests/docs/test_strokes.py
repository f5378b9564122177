"""The Python example of docs/strokes.md runs against a real service, as a reader would run it."""

import re
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.running_service import running_service
from index_builder.datasets.streets import Streets

PAGE = Path(__file__).parents[2] / "docs" / "strokes.md"


def test_the_example_marks_a_kerb_and_reverts_the_edit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    Image.fromarray(Streets("val", count=1)[0].image).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    found: dict[str, object] = {}
    with running_service(tmp_path) as address:
        assert "http://localhost:8000" in example
        exec(compile(example.replace("http://localhost:8000", address), PAGE, "exec"), found)
    assert "-> kerb" in capsys.readouterr().out
