"""Builds a release: embed images, sort pixels, split segments by label, select exemplars, calibrate, write."""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from index_builder.build_options import MIN_SHARE, BuildOptions, FittedParts, Notes
from index_builder.build_report import label_facts
from index_builder.build_steps import BuildSteps
from index_builder.datasets import Dataset, licence_of, origin_of
from index_builder.embedder_source import EmbedderSource
from index_builder.kept_results import Working
from index_builder.selection import select
from index_builder.stored_images import webp_files
from model_store.card import Card
from model_store.embedder import Device
from model_store.release import Release, write_release

__all__ = ["MIN_SHARE", "BuildOptions", "FittedParts", "Notes", "build_release", "with_card"]


def build_release(
    dataset: Dataset,
    source: EmbedderSource,
    out: Path,
    *,
    name: str | None = None,
    options: BuildOptions | None = None,
    calibrate_with: Dataset | None = None,
    notes: Notes | None = None,
    device: Device = "cpu",
    threads: int | None = None,
    fitted: FittedParts | None = None,
    working: Working | None = None,
) -> Release:
    """Build a release from a network and the labelled images of a data set.

    Args:
        dataset: images that give exemplars, and the classes of the release. `Unlabelled` images are clustered.
        source: the network; see `load_embedder_source`.
        out: folder of the release; it must not exist.
        name: name of the release; None: the name of the folder.
        options: limits of the number of exemplars, and settings of pixel sorting and the vote.
        calibrate_with: labelled images to calibrate confidence on, ideally none that the network was trained on. An
            image that is also in `dataset`, by its name, is compared without its own exemplars. None: images of
            `dataset`, each without its own exemplars.
        notes: texts and facts for the card.
        device: "cpu" or "cuda", for the network.
        threads: threads of the network on a CPU; None: all cores.
        fitted: what a head adds that was fitted to the data set; None: the network is used as it is.
        working: how the steps are done that look at one image at a time; None: in this process. It changes no result.

    Raises:
        ValueError: if `out` exists, the data set has no labelled segment or an image too large for WebP, or a class of
            `calibrate_with` is unknown to the release.
    """
    options, notes, out = options or BuildOptions(), notes or Notes(), Path(out)
    if out.exists():
        raise ValueError(f"{out} exists, and a release is never overwritten; give another folder with --out")
    steps = BuildSteps(dataset, source, options, device, threads, fitted, working or Working())
    gathered = steps.gather(hold_out=calibrate_with is None and fitted is None)
    chosen = select(
        gathered.candidates,
        len(dataset.classes),
        options.max_exemplars,
        options.max_images,
        options.balance,
        options.distinct,
    )
    calibration = steps.calibrate(gathered, chosen, calibrate_with)
    exemplars, sources, images = steps.exemplars(gathered, chosen)
    card = Card(
        name=name or out.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        description=notes.description,
        classes=list(dataset.classes),
        network=source.network,
        preprocessing=source.preprocessing,
        sorting=steps.sorting,
        retrieval=steps.retrieval,
        calibration=calibration,
        features=None if fitted is None else fitted.features,
        head=None if fitted is None else fitted.head,
        provenance=_provenance(dataset, source, notes),
        licence=_licence(dataset, source, notes),
        data={
            "exemplars": steps.summary(gathered, exemplars, len(sources)),
            "labels": label_facts(dataset, gathered.pixels),
            **notes.data,
        },
        training=source.training,
        metrics=dict(notes.metrics),
    )
    files = webp_files(dataset, sources, images, options.webp_quality, steps.working)
    attachments = None if fitted is None else fitted.attachments
    return write_release(out, card, source.network_file, exemplars, sources, files, attachments)


def with_card(release: Release, out: Path, **changes: Any) -> Release:
    """Copy a release with changes to its card, for example `metrics` measured by `evaluate`.

    Args:
        release: the original, which stays unchanged.
        out: folder of the copy; it must not exist.
        changes: fields of the card and their new values.

    Raises:
        ReleaseError: if `out` exists.
        ValueError: if a field is unknown or its value not allowed.
    """
    card = Card.model_validate({**release.card.model_dump(), **changes})
    images = ((source.file, (release.path / source.file).read_bytes()) for source in release.sources)
    return write_release(
        out, card, release.network_path, release.exemplars, release.sources, images, release.attachments
    )


def _provenance(dataset: Dataset, source: EmbedderSource, notes: Notes) -> dict[str, Any]:
    """Where the release comes from: version of the package, network and images."""
    return {
        "segsort": version("segsort"),
        "network": source.network.name,
        **({"network of": source.origin} if source.origin else {}),
        "images": notes.images or origin_of(dataset),
        **notes.provenance,
    }


def _licence(dataset: Dataset, source: EmbedderSource, notes: Notes) -> dict[str, Any]:
    """Licence of the network under its own key, and statements on the images of the data set."""
    network = {**source.licence, **notes.licence.get("network", {})}
    return {"exemplars": licence_of(dataset), **notes.licence, "network": network}
