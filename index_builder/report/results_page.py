"""The page: sections in order, its Markdown, and the plots beside it."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from index_builder.report import plots, run_sections, score_sections
from index_builder.report.experiments import measured
from index_builder.report.markdown import Block, Plot
from index_builder.report.run_files import Run

PLOTS, PICTURES = "plots", "pictures"  # folders below the one that is named as the page


class Picture(NamedTuple):
    """A picture of the page: its file's name with suffix, and what it shows in words."""

    file: str
    shows: str


class Section(NamedTuple):
    """A heading and what stands below it."""

    title: str
    blocks: Sequence[Block]


def sections(runs: Sequence[Run]) -> list[Section]:
    """All that is told of some runs."""
    settings = measured(runs)
    titles = [one.title for group in settings.values() for one in group]
    order = list(dict.fromkeys([*titles, *(run.label for run in runs)]))
    return [
        Section("How the runs were made", run_sections.recipes(runs)),
        Section("Objectives", score_sections.objectives(settings)),
        Section("Ratios", score_sections.compared(settings)),
        Section("Classes", score_sections.classes(settings)),
        Section("Boundaries", ["Boundary F, by tolerance in pixels.", *score_sections.boundaries(settings)]),
        Section("Confusion", score_sections.confusions(settings)),
        Section("Explanations", run_sections.explanations(settings, order)),
        Section("Confidence", score_sections.reliability(settings, order)),
        Section("Known and unknown", score_sections.known(settings)),
        Section("Sweeps", run_sections.sweeps(runs, order)),
        Section("Sources of regions", run_sections.regions(runs)),
        Section("Learning curves", run_sections.learning(runs, order)),
        Section("Speed", run_sections.speed(runs, settings)),
    ]


def page(told: Sequence[Section], assets: str, command: str, note: str = "", pictures: Sequence[Picture] = ()) -> str:
    """The page as Markdown.

    Args:
        told: its sections.
        assets: folder of plots and pictures, as seen from the page.
        command: that makes it.
        note: what else is to be said, above everything.
        pictures: what `index_builder.report.labelled_images` has painted.
    """
    parts = ["# Results", *([note] if note else []), _preface(command)]
    parts += [f"- [{section.title}](#{_anchor(section.title)})" for section in told]
    lines = (
        "\n\n".join(parts[: -len(told)] if told else parts) + "\n\n" + "\n".join(parts[-len(told) :] if told else [])
    )
    body = [part for section in told for part in (f"## {section.title}", *(_text(b, assets) for b in section.blocks))]
    shown = [f"![{one.shows}]({assets}/{PICTURES}/{one.file})\n\n{one.shows}." for one in pictures]
    if shown:
        body += ["## Pictures", PICTURED, *shown]
    return "\n\n".join([lines, *body]) + "\n"


PICTURED = (
    "Above: the image, and its classes with segments outlined; hatched grey is unknown. Below: segments chosen by "
    "class, each followed by the nearest of the exemplars that voted on it, with class and cosine. Every exemplar is "
    "painted."
)


def draw_plots(told: Sequence[Section], folder: Path) -> None:
    """Write the plots of a page into a folder, and take away PNGs that no longer belong to it."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [block for section in told for block in section.blocks if isinstance(block, Plot)]
    for plot in drawn:
        plots.save(plot.draw(), folder / f"{plot.name}.png")
    for file in folder.glob("*.png"):
        if file.stem not in {plot.name for plot in drawn}:
            file.unlink()


def command_line(
    folders: Sequence[Path], out: Path, base: Path, release: str | None = None, note: str = "", pictures: bool = True
) -> str:
    """The command that makes the page again, from `base`.

    Folders that are all of those beside them are written with a star; one outside `base` by its name alone.
    """
    parents = {folder.resolve().parent for folder in folders}
    beside = sorted(one for parent in parents for one in parent.iterdir() if one.is_dir() and one.name[0] != ".")
    whole = len(parents) == 1 and beside == sorted(folder.resolve() for folder in folders) and len(folders) > 1
    told = [f"{_below(parents.pop(), base)}/*"] if whole else [shlex.quote(_below(folder, base)) for folder in folders]
    words = ["segsort report", *told, "--out", shlex.quote(_below(out, base))]
    words += ["--release", shlex.quote(_below(Path(release), base) if "/" in release else release)] if release else []
    words += ["--note", shlex.quote(note)] if note else []
    return " ".join([*words, *([] if pictures else ["--no-pictures"])])


def _below(path: Path, base: Path) -> str:
    path = path.resolve()
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name


def _preface(command: str) -> str:
    return (
        "Every figure, plot and picture here was made by\n\n"
        f"```sh\n{command}\n```\n\n"
        "from the JSON in those folders; none is typed by hand. Figures are means over seeds, ± is the sample standard "
        "deviation (n - 1) and absent where there is one seed; shares and scores are 0..1; a dash: not measured."
    )


def _text(block: Block, assets: str) -> str:
    if isinstance(block, Plot):
        return f"![{block.shows.partition(':')[0]}]({assets}/{PLOTS}/{block.name}.png)\n\n{block.shows}."
    return block


def _anchor(title: str) -> str:
    """As GitHub makes it of a heading."""
    return title.lower().replace(" ", "-")
