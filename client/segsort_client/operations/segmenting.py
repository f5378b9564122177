"""Operations on images and answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias, TypeVar

from segsort_client.asking import Request
from segsort_client.flow import Flow, operation
from segsort_client.images import ImageInput, image_file
from segsort_client.operations.base import Asking
from segsort_client.parsing import parse
from segsort_client.results.answers import Relabelled, Segment, Segmentation, SegmentationSummary
from segsort_client.results.explanations import Explanation
from segsort_client.strokes import id_of

_S = TypeVar("_S", bound=Segmentation)
Masks: TypeAlias = Literal["rle", "polygon", "none"]


class Segmenting(Asking):
    """Segment images, and read, relabel, pin and delete answers."""

    @operation
    def segment(
        self, image: ImageInput, *, name: str | None = None, segments: int | None = None, k: int | None = None,
        exemplars: int = 5, masks: Masks = "rle", page: int = 0, min_index_revision: int = 0,
    ) -> Flow[Segmentation]:  # fmt: skip
        """Segment an image.

        Args:
            image: a path, an http or https URL, bytes of an image file, a binary file object, a PIL image, or a numpy
                array of uint8 or uint16: (H, W), (H, W, 3) or (H, W, 4). URLs are fetched by this client.
            name: name of the image in `Segmentation.name` and in COCO documents; None: that of its file.
            segments: number of segments that pixel sorting starts with; None: that of the release.
            k: number of exemplars that vote; None: that of the release.
            exemplars: number of exemplars that each segment names.
            masks: rle, polygon or none.
            page: page of a TIFF with several pages.
            min_index_revision: wait until this edit takes part, for example `edited.index_revision`.

        Raises:
            InputError: if it is not an image that can be sent.
            SegsortError: if the service refuses it, or does not answer.

        A try whose answer is lost is repeated, and leaves one more answer in the list.
        """
        file = yield from image_file(image, self._timeout)
        params = {
            "segments": segments, "k": k, "exemplars": exemplars, "masks": masks, "page": page or None,
            "min_index_revision": min_index_revision or None,
        }  # fmt: skip
        asked = Request(
            "POST", ("segment",), params, content=file.content, content_type="application/octet-stream", repeatable=True
        )
        found = parse(Segmentation, (yield from self._service.json(asked)))
        return replace(found, name=name or file.name)

    @operation
    def segment_again(
        self, segmentation: Segmentation | str, *, segments: int | None = None, k: int | None = None,
        exemplars: int = 5, masks: Masks = "rle",
    ) -> Flow[Segmentation]:  # fmt: skip
        """Segment the stored image of an answer with the served release. After edits, relabel it instead."""
        params = {"segments": segments, "k": k, "exemplars": exemplars, "masks": masks}
        parts = ("segmentations", id_of(segmentation, "segmentation_id"), "segment")
        found = yield from self._post(Segmentation, parts, params=params, repeatable=True)
        return _named(found, segmentation)

    @operation
    def relabel(
        self, segmentation: Segmentation | str, *, exemplars: int = 5, masks: Masks = "rle"
    ) -> Flow[Relabelled]:
        """Label the segments of an answer with the present exemplars, without running the network."""
        parts = ("segmentations", id_of(segmentation, "segmentation_id"), "relabel")
        params = {"exemplars": exemplars, "masks": masks}
        found = yield from self._post(Relabelled, parts, params=params, repeatable=True)
        return _named(found, segmentation)

    @operation
    def segmentations(
        self, *, limit: int = 50, before: Segmentation | SegmentationSummary | str | None = None, latest: bool = False
    ) -> Flow[tuple[SegmentationSummary, ...]]:
        """A page of earlier answers, the newest first.

        Args:
            limit: length of the page.
            before: the last answer of the page before.
            latest: only the newest answer of each image.
        """
        after = None if before is None else id_of(before, "segmentation_id")
        return self._read(
            tuple[SegmentationSummary, ...], "segmentations", limit=limit, before=after, latest=latest or None
        )

    @operation
    def segmentation(
        self, segmentation: SegmentationSummary | str, *, exemplars: int = 5, masks: Masks = "rle"
    ) -> Flow[Segmentation]:
        """Read an earlier answer."""
        found = id_of(segmentation, "segmentation_id")
        return self._read(Segmentation, "segmentations", found, exemplars=exemplars, masks=masks)

    @operation
    def explain(self, segment: Segment | str) -> Flow[Explanation]:
        """Why a segment has its label: the exemplars that voted, the runner-up, and the flip set."""
        return self._read(Explanation, "explain", id_of(segment, "segment_id"))

    @operation
    def image(self, segmentation: Segmentation | SegmentationSummary | str, *, size: int | None = None) -> Flow[bytes]:
        """The image file of an answer; with `size`, a WebP, JPEG or PNG with a longer side of at most that."""
        return self._bytes("segmentations", id_of(segmentation, "segmentation_id"), "image", size=size)

    @operation
    def crop(self, segment: Segment | str) -> Flow[bytes]:
        """A PNG of the part of the image around a segment, its mask outlined."""
        return self._bytes("segments", id_of(segment, "segment_id"), "crop")

    @operation
    def pin(self, segmentation: Segmentation | SegmentationSummary | str) -> Flow[None]:
        """Keep an answer and its image whatever the retention."""
        return self._nothing("PUT", "segmentations", id_of(segmentation, "segmentation_id"), "pin")

    @operation
    def unpin(self, segmentation: Segmentation | SegmentationSummary | str) -> Flow[None]:
        """Let retention delete an answer again."""
        return self._nothing("DELETE", "segmentations", id_of(segmentation, "segmentation_id"), "pin")

    @operation
    def delete(self, segmentation: Segmentation | SegmentationSummary | str, *, image: bool = False) -> Flow[None]:
        """Delete an answer, or with `image=True` all answers of its image that the caller sees."""
        return self._nothing("DELETE", "segmentations", id_of(segmentation, "segmentation_id"), image=image or None)


def _named(found: _S, earlier: object) -> _S:
    """An answer with the name of the earlier one."""
    return replace(found, name=earlier.name) if isinstance(earlier, Segmentation) else found
