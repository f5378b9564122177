"""Releases: what is served, and what could be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from segsort_client.parsing import Wire
from segsort_client.results.additions import SkippedFile
from segsort_client.results.base import Mask, Masked


@dataclass(frozen=True)
class NetworkInfo:
    """Description of the network of a release.

    Attributes:
        name: name of the network: its backbone and what was trained or fitted on it.
        backbone: name of the pretrained network or of the feature extractor inside it.
        dimension: number of values of an embedding, which is a unit vector.
        stride: pixels of the network's input between neighbouring embeddings.
        parameters: number of weights.
        opset: version of the ONNX operators that it uses.
    """

    name: str
    backbone: str
    parameters: int
    opset: int
    dimension: int | None = None
    stride: int | None = None


@dataclass(frozen=True)
class Licence:
    """The licences of the parts of a release.

    Attributes:
        network: licences of the network by their subject: `weights`, `training data`, `statistics` and others.
        exemplars: licence of the images that the release was built from; None: the card does not state it.
        added: licence of the images that users added; None: the card does not state it.
    """

    network: dict[str, str]
    exemplars: str | None
    added: str | None


@dataclass(frozen=True)
class AdaptedScores:
    """Scores of an adaptation: mIoU, 0 to 1, by cross-validation; None: images could not be compared.

    Attributes:
        before: of the head before, on the same images; None: not compared.
        after: of the new head; None: not compared.
        images: number of images with marks; None: the card does not say it.
    """

    before: float | None
    after: float | None
    images: int | None


@dataclass(frozen=True)
class HeldOutScores:
    """mIoU, 0 to 1, on labelled images that a build did not use.

    Attributes:
        images: number of images held out.
        miou: of the new release; None: no image could be measured.
        compared_with: release that was served meanwhile; None: none was compared.
        miou_compared: of that release on the same images, classes matched by name; None: no class matches.
    """

    images: int
    miou: float | None
    compared_with: str | None
    miou_compared: float | None


@dataclass(frozen=True)
class ReleaseSummary:
    """A release in a list. What only its card says is None if the card cannot be read.

    Attributes:
        name: name of the release.
        digest: SHA-256 that identifies its content; None if its files cannot be read.
        active: whether it is served.
        stored: whether it is in the store. False: it was given by its path, and a restart without this path
            does not find it.
        created: when it was built; None if its card does not say it.
        description: what it is for; None if its card cannot be read.
        problem: why it cannot be served; None: it can be served.
        bundled: whether the package contains it.
        classes: number of classes; None if its card cannot be read.
        exemplars: number of exemplars; None if its card does not contain it.
        network: its network; None if its card cannot be read.
        metrics: measured results and how they were measured; None if its card cannot be read.
        licence: licences of its parts; None if its card cannot be read.
        edits: number of edits made on it. They apply whenever it is served.
        earlier_edits: number of edits that were made on earlier releases of this name. They are kept, and have
            no effect on this one until `carry` carries them over.
        adaptable: whether `adapt` can fit its head: it contains the feature extractor.
        starts_empty: whether `new_release` can make an empty release with its features.
        parent: release that it was made of; None: none.
        adapted: scores of its adaptation; None: it was not adapted.
        built: scores on the images that were held out of its build; None: none were.
    """

    name: str
    digest: str | None
    active: bool
    stored: bool
    created: str | None
    description: str | None
    problem: str | None
    bundled: bool
    classes: int | None
    exemplars: int | None
    network: NetworkInfo | None
    metrics: dict[str, Any] | None
    licence: Licence | None
    edits: int
    earlier_edits: int
    adaptable: bool
    starts_empty: bool
    parent: str | None
    adapted: AdaptedScores | None
    built: HeldOutScores | None


@dataclass(frozen=True)
class ActivatedRelease:
    """The result of activating a release.

    Attributes:
        release: name of the release.
        release_digest: SHA-256 that identifies its content.
        before: name of the release that was served before.
        changed: false: it was the served release before.
        index_revision: number of the last edit that the answer takes into account; 0: none.
        exemplars: number of its exemplars that take part in votes.
        after_restart: release that this process would serve after a restart: the setting `release` overrides
            activation. None: there is none in the store.
        seconds: duration of the activation in seconds.
    """

    release: str
    release_digest: str
    before: str
    changed: bool
    index_revision: int
    exemplars: int
    after_restart: str | None
    seconds: float


@dataclass(frozen=True)
class CarryResult:
    """The edit that carried over edits of earlier releases.

    Attributes:
        release: name of the release.
        index_revision: number of the last edit that the answer takes into account; 0: none.
        revision: number of the edit of kind carry, which can be reverted; None: no edits waited.
        summary: the edit in words; None: no edits waited.
        exemplars: number of exemplars that it makes alive.
        left: what could not be carried over and why, in words; empty: nothing.
    """

    release: str
    index_revision: int
    revision: int | None
    summary: str | None
    exemplars: int
    left: tuple[str, ...]


@dataclass(frozen=True)
class ComparedClass(Masked):
    """The pixels of an image to which a release gives one label.

    Attributes:
        class_name: name of the class; None: pixels without a label, which are unknown.
        color: its colour as #rrggbb.
        area: pixels.
        shape: these pixels.
    """

    class_name: str | None
    color: str
    area: int
    shape: Annotated[Mask, Wire("mask")]


@dataclass(frozen=True)
class ComparedImage:
    """One image labelled by two releases.

    Attributes:
        segmentation_id: id of the answer whose image it is.
        image_url: URL of the image.
        width: pixels.
        height: pixels.
        agreement: share of the pixels with the same name, or no label, from both.
        marked_pixels: number of marked pixels.
        miou_a: mIoU on the marked pixels, 0 to 1, over the classes of the marks; None: no pixel is marked.
        miou_b: mIoU on the marked pixels, 0 to 1, over the classes of the marks; None: no pixel is marked.
        a: labels of the first release, the largest area first.
        b: labels of the second release, the largest area first.
    """

    segmentation_id: str
    image_url: str
    width: int
    height: int
    agreement: float
    marked_pixels: int
    miou_a: float | None
    miou_b: float | None
    a: tuple[ComparedClass, ...]
    b: tuple[ComparedClass, ...]


@dataclass(frozen=True)
class Comparison:
    """Two releases on the same images.

    Attributes:
        a: the first release.
        b: the second release.
        agreement: share of the pixels of all images with the same name, or no label, from both.
        marked_pixels: number of marked pixels in all images.
        miou_a: mIoU on the marked pixels, 0 to 1, over the classes of the marks; None: no pixel is marked.
        miou_b: mIoU on the marked pixels, 0 to 1, over the classes of the marks; None: no pixel is marked.
        images: the images, in the order of the request.
    """

    a: str
    b: str
    agreement: float
    marked_pixels: int
    miou_a: float | None
    miou_b: float | None
    images: tuple[ComparedImage, ...]


@dataclass(frozen=True)
class SurveyedClass:
    """A class of labelled images.

    Attributes:
        name: its name in the labels.
        color: its colour as #rrggbb.
        images: number of images with it, among those that were counted.
        share: share of the labelled pixels, 0 to 1.
        proposed: name that it may get in the new release: that of a class of the served release which differs
            in case and separators alone, or its own. None: it is in no image, so that it can be left out.
    """

    name: str
    color: str
    images: int
    share: float
    proposed: str | None


@dataclass(frozen=True)
class Survey:
    """What is in an archive of labelled images.

    Attributes:
        survey_id: id of the archive, for `build`.
        format: format that was found.
        split: part of the data, where they have parts.
        images: number of labelled images.
        counted: number of images whose labels were read; the others would take too long.
        classes: its classes.
        skipped: files that are not used, at most 100.
        skipped_files: number of files that are not used.
        notes: what else should be known of the labels.
        held_out: about how many images a build would hold out to measure the new release.
        held_out_rule: how these are chosen, in words.
        proposed_name: a name for the new release.
    """

    survey_id: str
    format: str
    split: str
    images: int
    counted: int
    classes: tuple[SurveyedClass, ...]
    skipped: tuple[SkippedFile, ...]
    skipped_files: int
    notes: tuple[str, ...]
    held_out: int
    held_out_rule: str
    proposed_name: str
