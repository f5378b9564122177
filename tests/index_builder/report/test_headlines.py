"""The short page of results, from documents of drives, a card and quoted figures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from command_line.main import cli
from index_builder.report.headlines import headlines, read_documents
from index_builder.report.method_tables import EQUAL_TIME, PIXELS, PROBE, SERVED, ratio
from index_builder.report.page_writer import headlines_text

CARD = {"network": {"name": "some-segsort"}, "metrics": {"camvid val, as shipped": {"images": 101, "miou": 0.714}}}


def scores(method: str, hits: int) -> dict[str, Any]:
    """Two classes of 100 pixels in each of four blocks, `hits` of each class found, and as many wrongly predicted."""
    block = [[100, 100], [100, 100], [hits, hits]]
    sums = np.zeros((3, 15))
    sums[:, 12] = (800, 680, 8 * hits)  # confidence 0.85
    bins = sums.tolist()
    return {"method": method, "frames": 40, "counts": [block] * 4, "raw": bins, "calibrated": bins, "curve": bins,
            "boundary_f": 0.5}  # fmt: skip


def document(drive: str, kind: str = "supervised", **hits: int) -> dict[str, Any]:
    names = {"pixels": PIXELS, "served": SERVED, "probe": PROBE, "twin": EQUAL_TIME, "without": f"unsupervised, {kind}"}
    return {
        "drive": drive,
        "seed": 0,
        "classes": ["sky", "road"],
        "sorting": {"segments": 64, "iterations": 2, "coarse_iterations": 4, "precision": "int8"},
        "training": {"segsort-0": {"steps": 400, "learning_rate": 0.004, "cpu_s": 187.2}},
        "tuned": {"segsort": {"held_miou": {"0.002": 0.44, "0.004": 0.47}, "learning_rate": 0.004}},
        "scores": {"drive": [scores(names[name], value) for name, value in hits.items()]},
        "environment": {"commit": "0123456789abcdef" * 2 + "01234567", "machine": "a machine", "threads": 1},
    }


@pytest.fixture
def claims(tmp_path: Path) -> Path:
    """Two drives: SegSort finds 80, the probe 90 and the twin 50 of 100 pixels."""
    for drive in ("one", "two"):
        found = document(drive, served=80, probe=90, twin=50)
        (tmp_path / f"supervised-{drive}-0.json").write_text(json.dumps(found))
        (tmp_path / f"slic-2-{drive}-0.json").write_text(json.dumps(document(drive, "slic-2", without=60)))
    quoted = {"network": "some-segsort", "commit": "abc", "by": "someone", "command": "segsort evaluate X",
              "rows": [{"frames": "test", "images": 7, "miou": 0.634}]}  # fmt: skip
    (tmp_path / "test-split.json").write_text(json.dumps(quoted))
    return tmp_path


def row(text: str, first: str) -> list[str]:
    """The cells of the first row that begins with these words."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {first} |")][:1]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_says_what_the_network_in_bytes_scores(claims: Path) -> None:
    measured = {"camvid/val": {"images": 101, "miou": 0.719, "miou_float32": 0.716, "agreement": 0.99}}
    text = headlines(claims, CARD | {"quantised": {"measured": measured}}, "segsort report")
    assert "In bytes, as processors that multiply bytes run it: camvid/val: mIoU 0.719, 0.716 in float32." in text
    assert "In bytes" not in headlines(claims, CARD | {"quantised": None}, "segsort report")


def test_scores_and_ratios_are_those_of_the_counts(claims: Path) -> None:
    text = headlines(claims, CARD, "segsort report")
    served, probe, twin = (hits / (200 - hits) for hits in (80, 90, 50))
    assert row(text, SERVED)[1:4] == ["1", f"{served:.3f}", f"{served:.3f} to {served:.3f}"]
    assert row(text, SERVED)[6] == f"{0.85 - 0.8:.3f}"
    found = ratio(read_documents(claims), "drive", SERVED, EQUAL_TIME)
    assert found is not None
    assert found.value == pytest.approx(served / twin)
    assert f"{PROBE}: above it; {EQUAL_TIME}: below it" in text
    without = 60 / 140 / served
    assert row(text, "slic")[1:7] == ["2", "ImageNet", "2", "1", f"{60 / 140:.3f}", f"{without:.3f}"]
    assert probe > served
    assert f"| {SERVED} | {served:.3f} | {served:.3f} |" in text.partition("IoU by class")[2]
    assert "| one | segsort | 0.440 | 0.470 | 0.004 |" in text


def test_runs_from_random_weights_stand_apart_and_name_their_drives(claims: Path) -> None:
    found = document("one", "felzenszwalb-2-scratch", without=40)
    (claims / "felzenszwalb-2-scratch-one-0.json").write_text(json.dumps(found))
    text = headlines(claims, CARD, "segsort report")
    over = (40 / 160) / (80 / 120)
    cells = ["felzenszwalb", "2", "random weights", "1", "1", f"{40 / 160:.3f}", f"{over:.3f}"]
    assert row(text, "felzenszwalb")[:7] == cells
    assert "labels of other data" in text


def test_the_page_says_how_releases_were_served(claims: Path) -> None:
    file = claims / "supervised-one-0.json"
    found = json.loads(file.read_text())
    assert "segments are not split, and all exemplars are kept" in headlines(claims, CARD, "segsort report")
    found |= {"distinct": 0.99, "sorting": found["sorting"] | {"min_part": 8}}
    file.write_text(json.dumps(found))
    text = headlines(claims, CARD, "segsort report")
    assert "parts of at least 8 pixels, and of exemplars with a cosine of 0.99 one is kept" in text


def test_methods_that_were_measured_again_are_named_with_their_commit(claims: Path) -> None:
    file = claims / "supervised-one-0.json"
    found = json.loads(file.read_text())
    assert "measured again" not in headlines(claims, CARD, "segsort report")
    file.write_text(json.dumps(found | {"renewed": {"methods": [SERVED], "environment": {"commit": "fedcba9876543"}}}))
    assert f"{SERVED}: measured again" in (text := headlines(claims, CARD, "segsort report"))
    assert "commit fedcba987," in text
    assert "do not depend on that." in text


def test_the_page_says_of_which_releases_the_exemplars_of_rows_are_that_were_not_measured_again(claims: Path) -> None:
    file, environment = claims / "supervised-one-0.json", {"commit": "fedcba9876543"}
    renewed = {"methods": [SERVED], "environment": environment, "before": {"sorting": {"segments": 49}}}
    found = document("one", served=80, pixels=70) | {"renewed": renewed}
    file.write_text(json.dumps(found))
    said = (
        f"except that {PIXELS} votes among the exemplars of earlier releases: K = 49, segments are not split, and all"
    )
    assert said in headlines(claims, CARD, "segsort report")
    renewed["methods"] = [PIXELS, SERVED]
    file.write_text(json.dumps(found))
    assert "do not depend on that." in headlines(claims, CARD, "segsort report")


def test_the_release_stands_beside_what_others_measured(claims: Path) -> None:
    text = headlines(claims, CARD, "segsort report")
    assert row(text, "camvid val, as shipped")[1:4] == ["some-segsort", "101", "0.714"]
    assert row(text, "test, quoted")[1:4] == ["some-segsort", "7", "0.634"]
    assert "someone at commit abc" in text
    assert "`segsort evaluate X`" in text


def test_drives_left_out_of_the_release_are_shown_with_their_mean(claims: Path) -> None:
    figures = {"images": 3, "miou": 0.5}
    document = {"network": "other", "drives": {"one": figures}, "mean": figures | {"miou": 0.55}}
    (claims / "left-out.json").write_text(json.dumps(document))
    text = headlines(claims, CARD, "segsort report")
    assert row(text, "drive one, trained without it")[1:4] == ["other", "3", "0.500"]
    assert row(text, "mean of the drives left out")[3] == "0.550"


def test_a_folder_without_a_drive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no document of benchmarks\.street_scores"):
        read_documents(tmp_path)


def test_the_command_writes_the_page(claims: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.md"
    arguments = ["report", "--claims", str(claims), "--out", str(out)]
    assert CliRunner().invoke(cli, arguments, catch_exceptions=False).exit_code == 0
    assert out.read_text() == headlines_text(claims, out)
    for wrong in ([*arguments, "--collect", str(tmp_path)], ["report", "--out", str(out)]):
        with pytest.raises(ValueError, match="give"):
            CliRunner().invoke(cli, wrong, catch_exceptions=False)


def test_the_committed_page_is_what_its_documents_give() -> None:
    page = Path("docs/results.md")
    assert page.read_text(encoding="utf-8") == headlines_text(Path("docs/results/claims"), page)
