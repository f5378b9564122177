"""Command `segsort evaluate`: measure a release on labelled images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from index_builder import labelled_options as labelled

if TYPE_CHECKING:
    from index_builder.evaluation import LeftOutReport


def evaluate(
    release: Annotated[
        str,
        typer.Argument(help="Name or path of a release, the folder of a softmax run, or one of runs with --left-out."),
    ],
    data: labelled.Data = None,
    format_: labelled.Format = "auto",
    classes: labelled.Classes = None,
    dataset: labelled.NamedDataset = None,
    root: Annotated[Path | None, typer.Option(help="Folder of that data set.")] = None,
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "val",
    explanations: Annotated[bool, typer.Option("--explanations", help="Measure the explanations as well.")] = False,
    explanation_images: Annotated[int, typer.Option(help="Maximum number of images to explain, evenly spaced.")] = 40,
    foreign: Annotated[
        list[str],
        typer.Option(help="Images that should be unknown: 'samples' (from scikit-image), PATH, or NAME=PATH."),
    ] = [],
    match_clusters: Annotated[
        bool,
        typer.Option("--match-clusters", help="Match the release's clusters with the classes of the data set first."),
    ] = False,
    left_out: Annotated[
        bool,
        typer.Option(
            "--left-out",
            help="RELEASE is a folder of runs, each trained with --split NAME=fit-without-DRIVE: score each on DRIVE.",
        ),
    ] = False,
    exemplars: Annotated[
        str | None,
        typer.Option(
            help="With --left-out: data set of the exemplars, such as streets. Default: what each run trained on."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables on standard output.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the JSON to this file.")] = None,
    device: Annotated[labelled.Device, typer.Option(help="Device that everything runs on.")] = "cpu",
    precision: Annotated[
        Literal["auto", "float32", "float16", "int8"],
        typer.Option(help="Numbers of the network, as of SEGSORT_PRECISION. Default: those that this machine serves."),
    ] = "auto",
) -> None:
    """Measure a release on labelled images: mIoU, IoU per class, accuracy, boundary F and calibration."""
    from index_builder.datasets import named_dataset, open_dataset, with_classes
    from index_builder.evaluation import Photographs, evaluate_classifier, is_classifier
    from index_builder.evaluation import evaluate as measure
    from model_store.predictor import Predictor
    from model_store.release import Release
    from model_store.store import open_store

    if as_json and as_markdown:
        raise ValueError(
            "--json and --markdown both print on standard output; give one of them, or write the JSON with --out"
        )
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
    dataset, root = named_dataset(data, dataset, root, format_)
    if left_out:
        left = _left_out(Path(release), dataset, root, exemplars)
        if out is not None:
            out.write_text(left.to_json() + "\n", encoding="utf-8")
        typer.echo(left.to_json() if as_json else left.to_text())
        return
    images = with_classes(open_dataset(dataset, root, split), classes)
    if is_classifier(Path(release)):
        if precision not in ("auto", "float32"):
            raise ValueError(f"--precision {precision} is for releases; a classifier is measured in float32")
        report = evaluate_classifier(Path(release), images, device=device)
    else:
        report = measure(
            Predictor(Release.open(open_store().resolve(release)), device, precision=precision),
            images,
            foreign=[Photographs(source) for source in foreign],
            explanation_images=explanation_images if explanations else None,
            match_clusters=match_clusters,
        )
    if out is not None:
        out.write_text(report.to_json() + "\n", encoding="utf-8")
    typer.echo(report.to_json() if as_json else report.to_markdown() if as_markdown else report.to_text())


def _left_out(runs: Path, dataset: str, root: Path | None, exemplars: str | None) -> "LeftOutReport":
    """Scores on drives left out, with the settings of the bundled release of streets."""
    from index_builder.build import BuildOptions
    from index_builder.bundled import PAINTED, SHIPPED, SORTING
    from index_builder.datasets import open_dataset
    from index_builder.evaluation import evaluate_left_out

    options = SHIPPED if exemplars is not None else BuildOptions(sorting=SORTING)
    images = open_dataset(exemplars, None, "train", count=PAINTED) if exemplars is not None else None
    return evaluate_left_out(runs, dataset, root, exemplars=images, options=options)
