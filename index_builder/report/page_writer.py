"""Writes the page, and the folder of its plots and images, which has the name of the page."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from index_builder.report.headlines import headlines
from index_builder.report.results_page import EXAMPLES, PLOTS, below, command_line, draw_plots, page, sections
from index_builder.report.run_files import read_runs
from model_store.release import CARD
from model_store.store import open_store

SHIPPED = "streets"  # the bundled release of streets


def page_text(
    folders: Sequence[Path], out: Path, release: str | None = None, note: str = "", images: bool = True
) -> str:
    """The text that `write_page` writes, made from the files of the runs. It draws nothing and opens no release.

    Raises:
        ValueError: if a folder has no run or a file cannot be read.
    """
    from index_builder.report.labelled_images import SHOWN

    command = command_line(folders, out, _root(out), release, note, images)
    painted = [shown.example for shown in SHOWN] if images else []
    return page(sections(read_runs(folders)), _assets(out).name, command, note, painted)


def write_page(
    folders: Sequence[Path], out: Path, release: str | None = None, note: str = "", images: bool = True
) -> None:
    """Write `out`, its plots and its example images. A second call writes the same bytes.

    Args:
        folders: folders of runs.
        out: the page, such as docs/results.md; its plots and images go into docs/results.
        release: name or path of the release for the example images; None: the bundled one.
        note: a paragraph above everything.
        images: whether to make the example images.

    Raises:
        ValueError: if a folder has no run, a file cannot be read, or the release may not be shown.
    """
    from index_builder.report.labelled_images import open_shown, paint_examples

    painter = open_shown(release) if images else None
    text = page_text(folders, out, release, note, images)
    draw_plots(sections(read_runs(folders)), _assets(out) / PLOTS)
    if painter is not None:
        paint_examples(painter, _assets(out) / EXAMPLES)
    out.write_text(text, encoding="utf-8")


def headlines_text(claims: Path, out: Path, release: str | None = None) -> str:
    """The text that `write_headlines` writes.

    Raises:
        ValueError: if the folder has no document of a drive.
    """
    words = [f"segsort report --claims {below(claims, _root(out))} --out {below(out, _root(out))}"]
    words += [f"--release {shlex.quote(release)}"] if release else []
    card = json.loads((open_store().resolve(release or SHIPPED) / CARD).read_text(encoding="utf-8"))
    return headlines(claims, card, " ".join(words))


def write_headlines(claims: Path, out: Path, release: str | None = None) -> None:
    """Write the short page of headline tables. A second call writes the same bytes.

    Args:
        claims: folder of the documents of `benchmarks.street_scores`.
        out: the page, such as docs/results.md.
        release: name or path of the release whose card is shown; None: the bundled one.

    Raises:
        ValueError: if the folder has no document of a drive.
    """
    out.write_text(headlines_text(claims, out, release), encoding="utf-8")


def _assets(out: Path) -> Path:
    return out.parent / out.stem.lower()


def _root(out: Path) -> Path:
    """The root of the page's repository, else the folder of the page."""
    folder = out.resolve().parent
    return next((parent for parent in (folder, *folder.parents) if (parent / "pyproject.toml").exists()), folder)
