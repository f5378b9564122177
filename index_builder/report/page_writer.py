"""Writing the page: the Markdown, and the folder of plots and pictures that is called like it."""

from collections.abc import Sequence
from pathlib import Path

from index_builder.report.results_page import PICTURES, PLOTS, command_line, draw_plots, page, sections
from index_builder.report.run_files import read_runs


def page_text(
    folders: Sequence[Path], out: Path, release: str | None = None, note: str = "", pictures: bool = True
) -> str:
    """The page that `write_page` writes, from the runs' files alone; nothing is drawn, and no release is opened.

    Raises:
        ValueError: if a folder holds no run or a file cannot be read.
    """
    from index_builder.report.labelled_images import SHOWN

    command = command_line(folders, out, _root(out), release, note, pictures)
    painted = [shown.picture for shown in SHOWN] if pictures else []
    return page(sections(read_runs(folders)), _assets(out).name, command, note, painted)


def write_page(
    folders: Sequence[Path], out: Path, release: str | None = None, note: str = "", pictures: bool = True
) -> None:
    """Write `out`, and beside it its plots and pictures. Written twice, all of it has the same bytes.

    Args:
        folders: of runs.
        out: the page, such as docs/results.md, whose plots and pictures lie in docs/results.
        release: name or path of the release that paints the pictures; None: the bundled one.
        note: a paragraph above everything.
        pictures: whether they are painted.

    Raises:
        ValueError: if a folder holds no run, a file cannot be read, or the release may not be shown.
    """
    from index_builder.report.labelled_images import open_shown, paint_pictures

    painter = open_shown(release) if pictures else None
    text = page_text(folders, out, release, note, pictures)
    draw_plots(sections(read_runs(folders)), _assets(out) / PLOTS)
    if painter is not None:
        paint_pictures(painter, _assets(out) / PICTURES)
    out.write_text(text, encoding="utf-8")


def _assets(out: Path) -> Path:
    return out.parent / out.stem.lower()


def _root(out: Path) -> Path:
    """The repository that the page lies in, else the page's folder."""
    folder = out.resolve().parent
    return next((parent for parent in (folder, *folder.parents) if (parent / "pyproject.toml").exists()), folder)
