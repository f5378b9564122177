"""The Markdown of the page, its sections in order, and its plots."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from index_builder.report import plots, run_sections, score_sections
from index_builder.report.experiments import measured
from index_builder.report.markdown import Block, Plot
from index_builder.report.run_files import Run

PLOTS, EXAMPLES = "plots", "images"  # folders in the folder that has the name of the page


class ExampleImage(NamedTuple):
    """An example image of the page: file name with suffix, and its caption."""

    file: str
    shows: str


class Section(NamedTuple):
    """A heading and its blocks."""

    title: str
    blocks: Sequence[Block]


def sections(runs: Sequence[Run]) -> list[Section]:
    """The sections of the page about some runs."""
    settings = measured(runs)
    titles = [one.title for group in settings.values() for one in group]
    peers = any(run.objective in ("softmax", "vmf") for run in runs)
    order = list(dict.fromkeys([*titles, *(run.label for run in runs)]))
    return [
        Section("How the runs were made", run_sections.recipes(runs)),
        Section("Objectives", score_sections.objectives(settings)),
        *([Section("Ratios", score_sections.compared(settings))] if peers else []),
        Section("Classes", score_sections.classes(settings)),
        Section("Boundaries", ["Boundary F, by tolerance in pixels.", *score_sections.boundaries(settings)]),
        Section("Confusion", score_sections.confusions(settings)),
        Section("Explanations", run_sections.explanations(settings, order)),
        Section("Confidence", score_sections.reliability(settings, order)),
        Section("Known and unknown", score_sections.known(settings)),
        *([Section("Sweeps", run_sections.sweeps(runs, order))] if any(run.sweeps for run in runs) else []),
        Section("Sources of regions", run_sections.regions(runs)),
        Section("Learning curves", run_sections.learning(runs, order)),
        Section("Speed", run_sections.speed(runs, settings)),
    ]


def page(
    shown: Sequence[Section], assets: str, command: str, note: str = "", examples: Sequence[ExampleImage] = ()
) -> str:
    """The page as Markdown.

    Args:
        shown: its sections.
        assets: folder of plots and images, relative to the page.
        command: the command that makes the page.
        note: a paragraph above everything.
        examples: the example images that `index_builder.report.labelled_images` has made.
    """
    parts = ["# Results in detail", *([note] if note else []), _preface(command)]
    parts += [f"- [{section.title}](#{_anchor(section.title)})" for section in shown]
    lines = (
        "\n\n".join(parts[: -len(shown)] if shown else parts)
        + "\n\n"
        + "\n".join(parts[-len(shown) :] if shown else [])
    )
    body = [part for section in shown for part in (f"## {section.title}", *(_text(b, assets) for b in section.blocks))]
    shown_examples = [f"![{one.shows}]({assets}/{EXAMPLES}/{one.file})\n\n{one.shows}." for one in examples]
    if shown_examples:
        body += ["## Example images", CAPTION, *shown_examples]
    return "\n\n".join([lines, *body]) + "\n"


CAPTION = (
    "Top: the image, and its classes with the outlines of the segments. Hatched grey means unknown. Below: some "
    "segments, each followed by the nearest exemplars of its vote, with class and cosine. Every exemplar is painted."
)


def draw_plots(shown: Sequence[Section], folder: Path) -> None:
    """Write the plots of a page into a folder, and remove PNG files that no longer belong to it."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [block for section in shown for block in section.blocks if isinstance(block, Plot)]
    for plot in drawn:
        plots.save(plot.draw(), folder / f"{plot.name}.png")
    for file in folder.glob("*.png"):
        if file.stem not in {plot.name for plot in drawn}:
            file.unlink()


def command_line(
    folders: Sequence[Path], out: Path, base: Path, release: str | None = None, note: str = "", images: bool = True
) -> str:
    """The command that makes the page again, run in `base`.

    If the folders are all folders of their parent, a star stands for them. A path outside `base` is shortened to its
    name.
    """
    parents = {folder.resolve().parent for folder in folders}
    beside = sorted(one for parent in parents for one in parent.iterdir() if one.is_dir() and one.name[0] != ".")
    whole = len(parents) == 1 and beside == sorted(folder.resolve() for folder in folders) and len(folders) > 1
    runs = [f"{below(parents.pop(), base)}/*"] if whole else [shlex.quote(below(folder, base)) for folder in folders]
    words = ["segsort report", *runs, "--out", shlex.quote(below(out, base))]
    words += ["--release", shlex.quote(below(Path(release), base) if "/" in release else release)] if release else []
    words += ["--note", shlex.quote(note)] if note else []
    return " ".join([*words, *([] if images else ["--no-images"])])


def below(path: Path, base: Path) -> str:
    """A path relative to `base`, or the name alone of one outside it."""
    path = path.resolve()
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name


def _preface(command: str) -> str:
    return (
        "This command writes the page from the JSON files of the runs; no figure is typed by hand:\n\n"
        f"```sh\n{command}\n```\n\n"
        "Figures are means over seeds. ± is the sample standard deviation (n - 1), absent for a single seed. Shares "
        "and scores are 0..1. A dash means not measured."
    )


def _text(block: Block, assets: str) -> str:
    if isinstance(block, Plot):
        return f"![{block.shows.partition(':')[0]}]({assets}/{PLOTS}/{block.name}.png)\n\n{block.shows}."
    return block


def _anchor(title: str) -> str:
    """The anchor that a code host gives a heading."""
    return title.lower().replace(" ", "-")
