"""Builds a release from all labelled images, as the options of `segsort build` say."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import typer

from index_builder.build import Notes, build_release
from index_builder.clustering import Unlabelled
from index_builder.datasets import Dataset, open_dataset, open_images, with_classes
from index_builder.embedder_source import is_run, load_embedder_source
from index_builder.fit_release import fit_release
from index_builder.heads import FitSettings, FittedHead, has_features, open_features
from index_builder.kept_results import Working, files_digest
from index_builder.new_release import SORTING
from index_builder.progress import StageBars
from index_builder.settings_options import SettingsOptions, changed
from model_store.card import RetrievalInfo
from model_store.embedder import Device
from model_store.release import Release
from model_store.store import open_store


@dataclass(frozen=True)
class ChosenImages:
    """The images and labels that a release is built from.

    Attributes:
        dataset, root, split: see `open_dataset`.
        count: maximum number of images; None: all.
        clusters: number of clusters that are the classes; None: labels are used.
        mapping: file that renames, merges and ignores classes; None: there is none.
    """

    dataset: str
    root: Path | None
    split: str
    count: int | None = None
    clusters: int | None = None
    mapping: Path | None = None

    def open(self) -> Dataset:
        """Open the data set.

        Raises:
            ValueError: if the files do not follow their format, or a class of the mapping is unknown.
        """
        if self.clusters is None:
            return with_classes(open_dataset(self.dataset, self.root, self.split, count=self.count), self.mapping)
        return Unlabelled(open_images(self.dataset, self.root, self.split, count=self.count), self.clusters)

    def digest(self, images: Dataset, work: Path | None = None) -> str:
        """What the images and labels are, for results that are kept.

        Args:
            images: what `open` returned.
            work: folder of kept results, whose files are no data.
        """
        mapping = "" if self.mapping is None else self.mapping.read_text()
        choice = [self.dataset, self.split, str(self.count), str(self.clusters), mapping]
        return files_digest(self.root, [*choice, *(info.name for info in images.classes)], without=work)


class ChosenNetwork(NamedTuple):
    """The network of a release.

    embedder: a release by name or path, the folder of a training run, "general", "filters" or a transformers backbone;
    fit: kind of the head, "auto", "none" or None for the default of the embedder; budget: seconds for choosing a head;
    seed: of the fit; working_size: longest side of the network's input in pixels, None: that of the embedder;
    remove_positional_bias: of a transformers backbone; device: for a network that is used as it is.
    """

    embedder: str
    fit: str | None = None
    budget: float = 20.0
    seed: int = 0
    working_size: int | None = None
    remove_positional_bias: bool = False
    device: Device = "cpu"

    def fits_head(self, clustered: bool) -> bool:
        """Whether a head is fitted: one was asked for, or the embedder has features. clustered: there are no labels.

        Raises:
            ValueError: if a head was asked for that cannot be fitted.
        """
        if clustered or is_run(Path(self.embedder)):
            if self.fit not in (None, "none"):
                raise ValueError(f"--fit {self.fit} needs labels and an embedder with features; leave --fit out")
            return False
        return self.fit not in (None, "none") or has_features(self.embedder)


@dataclass(frozen=True)
class ChosenBuild:
    """A build with the options of `segsort build`.

    Attributes:
        images: labelled images, or `Unlabelled` ones.
        network: see `ChosenNetwork`.
        options: replace the settings of the embedder.
        out: folder of the release; it must not exist.
        name: of the release; None: the name of the folder.
        notes: texts for the card.
        calibrate_with: labelled images that confidence is calibrated on; None: some of `images`.

    Raises:
        ValueError: if options contradict each other or the embedder, or `out` exists.
    """

    images: Dataset
    network: ChosenNetwork
    options: SettingsOptions
    out: Path
    name: str | None
    notes: Notes
    calibrate_with: Dataset | None = None

    def __post_init__(self) -> None:
        if self.out.exists():
            raise ValueError(f"{self.out} exists, and a release is never overwritten; give another folder with --out")
        if self.fits_head and self.calibrate_with is not None:
            raise ValueError("a release on features is calibrated by cross-validation; leave --calibrate-dataset out")
        if not self.fits_head and self.network.remove_positional_bias:
            raise ValueError("--remove-positional-bias is for a head on a transformers backbone; leave it out")

    @cached_property
    def fits_head(self) -> bool:
        """Whether a head is fitted to the images. Otherwise the network is used as it is."""
        return self.network.fits_head(isinstance(self.images, Unlabelled))

    def run(self, working: Working) -> Release:
        """Build the release, and show how far it is. working: see `build_release`."""
        return self._with_head(working) if self.fits_head else self._as_it_is(working)

    def _with_head(self, working: Working) -> Release:
        """Build a release with a head that is fitted to its images."""
        chosen = self.network
        with TemporaryDirectory(prefix="segsort-features-") as folder, StageBars() as stages:
            features = open_features(
                chosen.embedder, open_store(), Path(folder), chosen.working_size,
                remove_positional_bias=chosen.remove_positional_bias,
            )  # fmt: skip
            result = fit_release(
                self.images,
                features,
                self.out,
                name=self.name,
                settings=FitSettings(fit=chosen.fit or "auto", budget=chosen.budget, seed=chosen.seed),  # type: ignore[arg-type]
                options=self.options.over(SORTING, RetrievalInfo()),
                notes=self.notes,
                report=lambda done: stages.show(*done),
                working=working,
            )
        _show_head(result.fitted)
        return result.release

    def _as_it_is(self, working: Working) -> Release:
        """Build a release with a network that is not changed."""
        path = Path(self.network.embedder)
        source = load_embedder_source(path if path.exists() else open_store().resolve(self.network.embedder))
        source = replace(source, preprocessing=changed(source.preprocessing, working_size=self.network.working_size))
        own = source.retrieval  # whose effort and files suit the index of its own exemplars
        return build_release(
            self.images,
            source,
            self.out,
            name=self.name,
            options=self.options.over(
                source.sorting, RetrievalInfo(k=own.k, kappa=own.kappa, index_factory=own.index_factory)
            ),
            calibrate_with=self.calibrate_with,
            notes=self.notes,
            device=self.network.device,
            working=working,
        )


def _show_head(fitted: FittedHead) -> None:
    """Print the chosen head, the seconds of each stage, and the scores of all candidates on standard error."""
    seconds = ", ".join(f"{stage} {value:.1f} s" for stage, value in fitted.seconds.items())
    typer.echo(f"head: {fitted.info.chosen} ({seconds})", err=True)
    for candidate, score in sorted(fitted.info.cross_validated.items(), key=lambda one: -one[1]):
        typer.echo(f"  mIoU {score:.3f}  {candidate}", err=True)
