"""Results of edits that add, remove or relabel exemplars, and previews of edits."""

from __future__ import annotations

from dataclasses import dataclass

from segsort_client.results.answers import Relabelled
from segsort_client.results.base import Box, ClassInfo
from segsort_client.results.edits import Edited
from segsort_client.results.explanations import ExemplarSummary


@dataclass(frozen=True)
class AddedExemplar:
    """A labelled part of the image.

    Attributes:
        exemplar_id: id of the exemplar.
        class_id: number of the class; it never changes.
        class_name: name of the class.
        area: number of pixels.
        bbox: (x, y, width, height) in pixels.
        strength: number of exemplars that it counts as: 1, or more for a stroke.
        scope: all: it votes for segments of every image; image: only for those of its own image.
        wins: whether its class wins the vote on its own pixels. False: another class looks the same to the
            network.
        added: false: the exemplar existed before.
    """

    exemplar_id: str
    class_id: int
    class_name: str
    area: int
    bbox: Box
    strength: float
    scope: str
    wins: bool
    added: bool


@dataclass(frozen=True)
class DroppedShape:
    """A part of the annotations that is not used.

    Attributes:
        annotation: number of the annotation, from 0.
        ring: number of the polygon in the annotation, from 0; None: the whole annotation.
        reason: why it is not used.
    """

    annotation: int
    ring: int | None
    reason: str


@dataclass(frozen=True)
class ExemplarsAdded(Edited):
    """The exemplars of a labelled image.

    Attributes:
        exemplars: one for each labelled part, whether it is new or not.
        classes: classes that the edit created.
        already: number of exemplars that existed before.
        dropped: annotations, and polygons of annotations, that are not used because they cover no pixel.
        relabelled: the whole image, labelled again; None without `segmentation_id`, with relabel=false, or
            where that failed.
    """

    exemplars: tuple[AddedExemplar, ...]
    classes: tuple[ClassInfo, ...]
    already: int
    dropped: tuple[DroppedShape, ...]
    relabelled: Relabelled | None


@dataclass(frozen=True)
class ExemplarsRemoved(Edited):
    """The result of removing exemplars.

    Attributes:
        already: number of exemplars that had been removed before.
    """

    already: int


@dataclass(frozen=True)
class ExemplarsRelabelled(Edited):
    """The result of giving exemplars other classes.

    Attributes:
        exemplars: the exemplars that have taken the place of the others, in the order of the request.
        classes: classes that the edit created.
    """

    exemplars: tuple[ExemplarSummary, ...]
    classes: tuple[ClassInfo, ...]


@dataclass(frozen=True)
class SegmentsLabelled(Edited):
    """The result of labelling segments of several answers.

    Attributes:
        exemplars: one for each segment, whether it is new or not.
        classes: classes that the edit created.
    """

    exemplars: tuple[AddedExemplar, ...]
    classes: tuple[ClassInfo, ...]


@dataclass(frozen=True)
class Marked(Edited):
    """The result of marks on an answer.

    Attributes:
        exemplars: one for each marked part, whether it is new or not.
        classes: classes that the edit created.
        relabelled: the whole image, labelled again; None where that failed.
    """

    exemplars: tuple[AddedExemplar, ...]
    classes: tuple[ClassInfo, ...]
    relabelled: Relabelled | None


@dataclass(frozen=True)
class ChangeElsewhere:
    """A segment of another image whose label would be different.

    Attributes:
        segment_id: id of the segment: the segmentation's id, a dash and a number.
        before: name of the class that it has at present; None: it has none.
        after: name of the class that it would have; None: none.
        area: number of pixels.
    """

    segment_id: str
    before: str | None
    after: str | None
    area: int


@dataclass(frozen=True)
class Elsewhere:
    """Another recent image, by its newest answer, and what would change in it.

    Attributes:
        segmentation_id: id of the answer.
        image_url: path of the image file; None once the image is no longer stored.
        width: width of the upright image in pixels.
        height: height of the upright image in pixels.
        segments: number of segments of the answer.
        changed: segments whose label would be different from the one that the exemplars of now give it.
    """

    segmentation_id: str
    image_url: str | None
    width: int
    height: int
    segments: int
    changed: tuple[ChangeElsewhere, ...]


@dataclass(frozen=True)
class MarksPreview:
    """What marks would change. Nothing is written.

    Attributes:
        relabelled: the whole image as it would be labelled. No answer has its ids, and `index_revision` is the
            present one.
        elsewhere: other images, the newest first, with or without changes.
    """

    relabelled: Relabelled
    elsewhere: tuple[Elsewhere, ...]


@dataclass(frozen=True)
class ImportedImage:
    """The exemplars of one image of an archive.

    Attributes:
        name: name of the file in the archive.
        revision: number of the edit; None if all exemplars existed before.
        exemplars: number of exemplars that were added.
        already: number of exemplars that existed before.
    """

    name: str
    revision: int | None
    exemplars: int
    already: int


@dataclass(frozen=True)
class SkippedFile:
    """A file of an archive that was not used.

    Attributes:
        name: name of the file in the archive.
        reason: why it was not used.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Imported:
    """The labelled images of an archive as exemplars.

    Attributes:
        index_revision: number of the last edit that the answer takes into account; 0: none.
        format: format of the labels.
        images: images whose labelled parts are exemplars now.
        skipped: files that were not used.
        notes: other things that a user should know, such as shapes that were left out.
    """

    index_revision: int
    format: str
    images: tuple[ImportedImage, ...]
    skipped: tuple[SkippedFile, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class EffectSegment:
    """A segment whose label an edit changes.

    Attributes:
        segment_id: id of the segment: the segmentation's id, a dash and a number.
        before: name of its class in the answer; None: it had no class.
        after: name of the class that it would get now; None: none.
        known: whether it would be known now. False: that class is only the nearest one.
        image_id: SHA-256 of the image file; None where none was recorded.
        image_url: path of the image file; None once the image is no longer stored.
        crop_url: path of a PNG of its part of the image, with its outline.
    """

    segment_id: str
    before: str | None
    after: str | None
    known: bool
    image_id: str | None
    image_url: str | None
    crop_url: str


@dataclass(frozen=True)
class Effect:
    """What an edit changes in recent answers.

    Attributes:
        segments: segments whose label changes through this edit.
        answers: number of answers that were compared.
    """

    segments: tuple[EffectSegment, ...]
    answers: int


@dataclass(frozen=True)
class ExemplarPreview:
    """What an edit of exemplars would change in recent images.

    Attributes:
        index_revision: number of the last edit that the answer takes into account; 0: none.
        answers: number of images that were compared.
        compared: number of their segments.
        changed: segments that would get another label, those of the newest image first. `before` is the label
            that they would get now without the edit.
    """

    index_revision: int
    answers: int
    compared: int
    changed: tuple[EffectSegment, ...]


@dataclass(frozen=True)
class ExemplarList:
    """One page of exemplars.

    Attributes:
        total: number of exemplars on all pages.
        exemplars: the exemplars of the page, the most recently added first.
    """

    total: int
    exemplars: tuple[ExemplarSummary, ...]
