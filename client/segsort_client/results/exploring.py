"""What to label next: suggestions, clusters of unknown segments, and the audit of exemplars."""

from __future__ import annotations

from dataclasses import dataclass

from segsort_client.results.explanations import ExemplarSummary


@dataclass(frozen=True)
class Suggestion:
    """An image to label next.

    Attributes:
        segmentation_id: id of the newest answer of the image.
        image_id: SHA-256 of the image file.
        image_url: path of the image file.
        width: width of the upright image in pixels.
        height: height of the upright image in pixels.
        created: time in UTC, RFC 3339 with milliseconds.
        score: how much closer the segments of all these images come to a labelled one, if this image is
            labelled after those before it in the list: the sum over segments of the increase of the largest
            cosine, weighted by their share of the area and their uncertainty.
        unknown: share of its area that is unknown, 0 to 1.
        uncertainty: mean uncertainty of its segments, weighted by area, 0 to 1: 1 for an unknown segment, else
            1 minus the confidence, or 1 minus the share of the vote if the release is not calibrated.
        novelty: mean distance, 1 minus cosine, of its segments to the nearest exemplar or segment of a marked
            image or of an image before it in the list.
        reasons: why it is suggested.
    """

    segmentation_id: str
    image_id: str
    image_url: str
    width: int
    height: int
    created: str
    score: float
    unknown: float
    uncertainty: float
    novelty: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class SuggestionList:
    """Images to label next, the best first.

    Attributes:
        release: name of the release.
        index_revision: number of the last edit that the answer takes into account; 0: none.
        images: number of images that were looked at: the newest ones.
        marked: number of these of which an edit has marked a part. They are not suggested.
        suggestions: the images, the best first.
    """

    release: str
    index_revision: int
    images: int
    marked: int
    suggestions: tuple[Suggestion, ...]


@dataclass(frozen=True)
class NearestClass:
    """The class that a cluster resembles most.

    Attributes:
        class_id: number of the class; it never changes.
        class_name: name of the class.
        similarity: cosine of the centre of the cluster to the nearest exemplar.
    """

    class_id: int
    class_name: str
    similarity: float


@dataclass(frozen=True)
class ClusterSegment:
    """A segment of a cluster, with the label that it has now.

    Attributes:
        segment_id: id of the segment: the segmentation's id, a dash and a number.
        segmentation_id: id of the answer.
        class_name: name of its nearest class; None: there is no exemplar.
        known: false: no exemplar is similar enough, so the label should not be trusted.
        area: number of pixels.
        share: share of the area of its image, 0 to 1.
        similarity: cosine to the centre of the cluster.
        crop_url: path of a PNG of its part of the image, with its outline.
    """

    segment_id: str
    segmentation_id: str
    class_name: str | None
    known: bool
    area: int
    share: float
    similarity: float
    crop_url: str


@dataclass(frozen=True)
class Cluster:
    """Segments of several images that resemble each other.

    Attributes:
        size: number of its segments.
        images: number of images that have one of its segments.
        area: sum of the shares of its segments of the area of their images.
        spread: mean cosine of its segments to its centre, weighted by area; 1: all have one direction.
        nearest: the class that it resembles most; None: there is no exemplar.
        segments: its segments, the largest share of their image first: as many as `members` asks for.
    """

    size: int
    images: int
    area: float
    spread: float
    nearest: NearestClass | None
    segments: tuple[ClusterSegment, ...]


@dataclass(frozen=True)
class ClusterList:
    """The segments of recent images without a sure label, clustered.

    Attributes:
        release: name of the release.
        index_revision: number of the last edit that the answer takes into account; 0: none.
        images: number of images that were looked at: the newest ones.
        segments: number of segments of these images without a sure label.
        left_out: number of those that are not in a cluster, because there are too many: the smallest ones.
        near: cosine from which on a segment is near the centre of its cluster: the familiarity of known
            segments, within 0.5 and 0.99. The number of clusters is the smallest tried with which 90 % of the
            area is near, but at most 64, and at most one for two segments.
        clusters_found: number of clusters, also of those that are not listed.
        clusters: the clusters, the largest area first.
    """

    release: str
    index_revision: int
    images: int
    segments: int
    left_out: int
    near: float
    clusters_found: int
    clusters: tuple[Cluster, ...]


@dataclass(frozen=True)
class CorrectedSegment:
    """A segment whose label was corrected.

    Attributes:
        revision: number of the edit that corrected it.
        segment_id: id of the segment: the segmentation's id, a dash and a number.
        before: name of its class in the answer.
        after: name of its class after the correction.
        crop_url: path of a PNG of its part of the image, with its outline.
    """

    revision: int
    segment_id: str
    before: str
    after: str
    crop_url: str


@dataclass(frozen=True)
class AuditNeighbour:
    """An exemplar near another one.

    Attributes:
        exemplar: the other exemplar.
        similarity: cosine of the two prototypes; 1: same direction. A float32 with all its digits.
    """

    exemplar: ExemplarSummary
    similarity: float


@dataclass(frozen=True)
class AuditEntry:
    """An exemplar, a group of near duplicates, or a class that is worth a look.

    Attributes:
        exemplar: the exemplar; for duplicates, the one that the others are compared with; None for thin
            classes.
        class_id: number of the class; it never changes.
        class_name: name of the class.
        score: contradicted: 0 to 1, how much nearer another class is than its own; duplicates: smallest cosine
            to the exemplar; thin: sum of the strengths; corrections: number of corrected segments.
        reason: why it is listed, in words.
        suggested_class_id: for contradicted ones: number of the class that wins the vote; else None.
        suggested_class_name: name of that class; else None.
        margin: for contradicted ones: share of the vote of that class minus the share of its own; else None.
        conflict: for duplicates: whether they have several classes; else None.
        neighbours: contradicted: the nearest exemplars of the other class; duplicates: the others of the group.
            The nearest first.
        corrected: for corrections: corrected segments that it had voted on, the newest first, at most 12.
            Readers see segments of their own answers.
        exemplars: for thin classes: number of exemplars; else None.
        images: for thin classes: number of their images; else None.
    """

    exemplar: ExemplarSummary | None
    class_id: int
    class_name: str
    score: float
    reason: str
    suggested_class_id: int | None
    suggested_class_name: str | None
    margin: float | None
    conflict: bool | None
    neighbours: tuple[AuditNeighbour, ...]
    corrected: tuple[CorrectedSegment, ...]
    exemplars: int | None
    images: int | None


@dataclass(frozen=True)
class Audit:
    """One page of what an audit found.

    Attributes:
        kind: what was looked for.
        index_revision: number of the last edit that the answer takes into account; 0: none.
        compared: number of exemplars that were compared.
        across_images: whether exemplars were judged by those of other images alone. False: there are fewer than
            three images.
        total: number of entries on all pages.
        entries: the entries of the page, the most doubtful first.
    """

    kind: str
    index_revision: int
    compared: int
    across_images: bool
    total: int
    entries: tuple[AuditEntry, ...]
