"""Plots in one style, with colours for colour-blind readers. No plot changes global state."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito, without yellow
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DOTS = 110  # per inch; 8 inches fill the width of a page on a code host
CHARACTERS = 14.5  # of a legend's text, per inch
STYLE: dict[Any, Any] = {
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
}


class Line(NamedTuple):
    """Values over x. Lines of one label share a colour and one entry of the legend."""

    label: str
    x: Sequence[float]
    y: Sequence[float]


class Bin(NamedTuple):
    """A bin of a reliability diagram: mean confidence, share of correct pixels, weight."""

    confidence: float
    correct: float
    weight: float


def curves(loss: Sequence[Line], score: Sequence[Line], order: Sequence[str]) -> "Figure":
    """Loss and validation mIoU over steps: the mean over 5 % of the steps, and the values in a faint line.

    `order` has all labels of the page, so that a label has the same colour and marker in every plot.
    """
    panels = [(lines, name) for lines, name in ((loss, "loss"), (score, "validation mIoU (share)")) if lines]
    with _figure((8, 3.6), len(panels)) as (figure, axes):
        for ax, (lines, name) in zip(axes, panels, strict=True):
            for line in lines:
                look = _look(order, line.label)
                if name == "loss":
                    ax.plot(line.x, line.y, color=look["color"], alpha=0.2, linewidth=0.8)
                    ax.plot(line.x, _smooth(line.y), color=look["color"])
                else:
                    ax.plot(line.x, line.y, **look)
            ax.set(xlabel="optimiser step", ylabel=name, ylim=(0, None))
        _legend(figure, [line.label for lines, _ in panels for line in lines], order)
    return figure


def sweep(axis: str, lines: Sequence[Line], score: str, log: bool, order: Sequence[str]) -> "Figure":
    """A score against the swept value."""
    with _figure((6, 3.4)) as (figure, axes):
        for line in lines:
            axes[0].plot(line.x, line.y, **_look(order, line.label))
        axes[0].set(xlabel=axis, ylabel=score)
        if log:
            ticks = sorted({x for line in lines for x in line.x})
            axes[0].set_xscale("log")
            axes[0].set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes[0].minorticks_off()
        _legend(figure, [line.label for line in lines], order)
    return figure


def removal(lines: Mapping[str, Sequence[Line]], axis: str, score: str, order: Sequence[str]) -> "Figure":
    """The share of labels that stay when exemplars are removed: a colour for each label, a dash for each way."""
    ways = list(dict.fromkeys(line.label for group in lines.values() for line in group))
    dashes = dict(zip(ways, cycle(("-", "--", ":", "-.")), strict=False))
    with _figure((6, 3.6)) as (figure, axes):
        for label, group in lines.items():
            for line in group:
                axes[0].plot(line.x, line.y, **_look(order, label), linestyle=dashes[line.label])
        least = min((y for group in lines.values() for line in group for y in line.y), default=0.0)
        axes[0].set(xlabel=axis, ylabel=score, ylim=(max(np.floor(10 * least) / 10 - 0.1, 0), 1.02))
        _legend(figure, list(lines), order, dashes)
    return figure


def reliability(bins: Mapping[str, Sequence[Bin]], order: Sequence[str]) -> "Figure":
    """Top: share of correct pixels against confidence. Bottom: share of pixels with that confidence."""
    with _figure((5.4, 5.6), rows=(3, 1)) as (figure, axes):
        axes[0].plot((0, 1), (0, 1), color="#888888", linewidth=1, linestyle="--")
        for label, of_label in bins.items():
            look, x = _look(order, label), [one.confidence for one in of_label]
            weights = np.asarray([one.weight for one in of_label])
            axes[0].plot(x, [one.correct for one in of_label], **look)
            axes[1].plot(x, weights / weights.sum(), **look)
        axes[0].set(ylabel="share of correct pixels", xlim=(0, 1), ylim=(0, 1.02))
        axes[1].set(xlabel="confidence (0 to 1)", ylabel="share of\npixels", xlim=(0, 1), ylim=(0, None))
        _legend(figure, list(bins), order)
    return figure


def confusion(counts: np.ndarray, names: Sequence[str], columns: Sequence[str]) -> "Figure":
    """A row for each true class, divided by its pixels; counts: [C, C'], names of rows and of columns."""
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    side = 1.9 + 0.5 * len(columns)
    with _figure((side, 1.5 + 0.44 * len(names))) as (figure, axes):
        ax = axes[0]
        ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        ax.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
        ax.set_yticks(range(len(names)), names)
        ax.set(xlabel="predicted class", ylabel="true class")
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
        for (row, column), share in np.ndenumerate(shares):
            if share >= 0.005:
                color = "white" if share > 0.55 else "black"
                ax.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=color, fontsize=8)
        ax.set_title("% of the true class's pixels", loc="left")
    return figure


def save(figure: "Figure", file: Path) -> None:
    """Write a PNG of 256 colours without metadata, so that equal figures give equal bytes."""
    import io

    from PIL import Image

    whole = io.BytesIO()
    figure.savefig(whole, format="png", dpi=DOTS, metadata={"Software": None})
    with Image.open(whole) as opened:
        opened.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)


@contextmanager
def _figure(
    size: tuple[float, float], columns: int = 1, rows: Sequence[int] = (1,)
) -> Iterator[tuple["Figure", list["Axes"]]]:
    """A figure without a window, its size in inches, and its axes in order."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()  # ignore the reader's matplotlibrc
        for key, value in STYLE.items():
            mpl.rcParams[key] = value
        figure = Figure(size, layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=list(rows))
        yield figure, list(grid.ravel())


def _look(order: Sequence[str], label: str) -> dict[str, Any]:
    n = list(order).index(label)
    return {"color": COLORS[n % len(COLORS)], "marker": MARKERS[n % len(MARKERS)]}


def _legend(
    figure: "Figure", labels: Sequence[str], order: Sequence[str], dashes: Mapping[str, Any] | None = None
) -> None:
    """Add the legend below the axes, in as many columns as fit."""
    from matplotlib.lines import Line2D

    shown = [label for label in order if label in labels]
    handles = [Line2D([], [], label=label, **_look(order, label)) for label in shown]
    handles += [Line2D([], [], label=way, color="#444444", linestyle=dash) for way, dash in (dashes or {}).items()]
    widest = max((len(str(handle.get_label())) for handle in handles), default=1)
    columns = int(figure.get_figwidth() * CHARACTERS) // (widest + 7)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(max(columns, 1), len(handles)))


def _smooth(values: Sequence[float]) -> np.ndarray:
    """The mean over a window of 5 % of the values, shorter at the ends."""
    half = max(len(values) // 40, 1) if len(values) > 8 else 0
    sums = np.concatenate([[0.0], np.cumsum(values)])
    rows = np.arange(len(values))
    low, high = np.maximum(rows - half, 0), np.minimum(rows + half + 1, len(values))
    return np.asarray((sums[high] - sums[low]) / (high - low))
