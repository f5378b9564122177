"""Sources by name."""

from pathlib import Path

import pytest

from index_builder.regions import SOURCES, open_regions


def test_sources_that_compute_open_by_their_name_alone() -> None:
    for name in ("felzenszwalb", "slic-merge"):
        assert open_regions(name).name == name


def test_every_source_is_known(tmp_path: Path) -> None:
    (tmp_path / "contours.onnx").touch()
    opened = [open_regions(name, folder=tmp_path, contours=tmp_path / "contours.onnx").name for name in SOURCES]
    assert opened == list(SOURCES)


def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'slic' are not known; choose felzenszwalb, slic-merge, folder or contours"):
        open_regions("slic")
    with pytest.raises(ValueError, match="need the folder of the region maps"):
        open_regions("folder")
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        open_regions("folder", folder=tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"need a contour network; give the contours\.onnx"):
        open_regions("contours")
    with pytest.raises(ValueError, match=r"none\.onnx does not exist; train a contour network"):
        open_regions("contours", contours=tmp_path / "none.onnx")
