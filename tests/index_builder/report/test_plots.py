"""Plots: the same figure gives the same bytes, labels keep their colour, and curves are smoothed by a mean."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from index_builder.report import plots

ORDER = ["one", "two"]


def test_a_saved_plot_is_a_small_png_and_always_the_same(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        lines = [plots.Line("two", [1, 2, 4], [0.1, 0.4, 0.3]), plots.Line("one", [1, 2, 4], [0.2, 0.3, 0.5])]
        plots.save(plots.sweep("kappa", lines, "mIoU", True, ORDER), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.mode == "P"
        assert opened.width == round(6 * plots.DOTS)


def test_a_label_has_one_colour_in_all_plots() -> None:
    curve = plots.curves([plots.Line("two", [1, 2], [1, 2])], [], ORDER).axes[0].lines[-1]
    swept = plots.sweep("k", [plots.Line("two", [1, 2], [1, 2])], "mIoU", False, ORDER).axes[0].lines[0]
    assert curve.get_color() == swept.get_color() == plots.COLORS[1]


def test_smoothing_is_the_mean_over_a_window_that_is_shorter_at_the_ends() -> None:
    values = np.random.default_rng(0).random(100)
    half = 100 // 40
    expected = [values[max(i - half, 0) : i + half + 1].mean() for i in range(100)]
    np.testing.assert_allclose(plots._smooth(values.tolist()), expected)
    np.testing.assert_array_equal(plots._smooth([3.0, 1.0, 2.0]), [3.0, 1.0, 2.0])


def test_a_row_of_the_confusion_matrix_adds_up_to_a_hundred_percent() -> None:
    axes = plots.confusion(np.array([[3, 1], [0, 0]]), ["a", "b"], ["a", "b"]).axes[0]
    shares = axes.images[0].get_array()
    assert shares is not None
    np.testing.assert_allclose(np.asarray(shares), [[0.75, 0.25], [0, 0]])
    assert sorted(text.get_text() for text in axes.texts) == ["25", "75"]


def test_the_weights_of_a_reliability_diagram_are_shares() -> None:
    bins = {"one": [plots.Bin(0.2, 0.1, 3), plots.Bin(0.8, 0.9, 1)]}
    figure = plots.reliability(bins, ORDER)
    assert figure.axes[1].lines[0].get_ydata() == pytest.approx([0.75, 0.25])
