"""The format `coco`: instances of COCO, https://cocodataset.org/#format-data."""

from typing import Any

import orjson

from model_store.card import ClassInfo
from model_store.exporting.files import Files
from model_store.exporting.names import FileName
from model_store.exporting.outlines import outlines_of
from model_store.exporting.results import ExportImage, SegmentShape
from model_store.exporting.writer import ExportOptions, Writer, rounded
from segsort.masks import encode_rle


class Coco(Writer):
    """One annotations/instances_default.json with an annotation for each segment of a known class.

    The segmentation is compressed RLE, which is exact. Polygons are an option; pycocotools fills them by a rule of its
    own and adds pixels at their edges. The id of a category is its class id + 1, because many programs take 0 as
    background; ids have the order of classes, so that they are read back with their class ids. Besides the fields of
    COCO: `release` and `release_digest` of `info`, `color` of categories, `score`, `segment_id` and `exemplars` of
    annotations, `segsort_id` of images.
    """

    name = "coco"
    about = "annotations/instances_default.json has the segments as instances of COCO. Copy the images into images/."

    def __init__(self, files: Files, classes: tuple[ClassInfo, ...], options: ExportOptions) -> None:
        super().__init__(files, classes, options)
        self._images: list[dict[str, Any]] = []
        self._count = 0
        categories = [
            {"id": info.class_id + 1, "name": info.name, "supercategory": "", "color": info.color} for info in classes
        ]
        head = {"info": {"description": options.release} | options.origin, "licenses": [], "categories": categories}
        self._document = files.document("annotations/instances_default.json")
        self._document.write(orjson.dumps(head)[:-1] + b',\n"annotations": [')

    def add(self, image: ExportImage, name: FileName) -> None:
        H, W = image.size
        counts = encode_rle(image.labels, len(image.segments))
        number = len(self._images) + 1
        self._images.append(
            {"id": number, "file_name": str(name), "width": W, "height": H, "segsort_id": image.image_id}
        )
        for info, shape in self.known_shapes(image):
            self._count += 1
            segmentation = self._polygons(shape) or {"size": [H, W], "counts": counts[shape.number]}
            entry = _annotation(info, shape, self._count, number) | {"segmentation": segmentation}
            self._document.write(b"\n" if self._count == 1 else b",\n")
            self._document.write(orjson.dumps(entry))

    def finish(self) -> None:
        self._document.write(b'],\n"images": ' + orjson.dumps(self._images) + b"}\n")

    def _polygons(self, shape: SegmentShape) -> list[list[float]] | None:
        """Rings [x, y, x, y, ...]; None: the segment is to be a mask."""
        if not self.options.polygons:
            return None
        polygons = outlines_of(shape.mask, *shape.box[:2])
        if any(polygon.holes for polygon in polygons):
            return None
        return [polygon.exterior.ravel().tolist() for polygon in polygons]


def _annotation(info: ClassInfo, shape: SegmentShape, number: int, image: int) -> dict[str, Any]:
    """An annotation without its segmentation."""
    entry: dict[str, Any] = {
        "id": number, "image_id": image, "category_id": info.class_id + 1, "bbox": shape.box, "area": shape.area,
        "iscrowd": 0, "segment_id": shape.segment.segment_id, "exemplars": shape.segment.exemplars,
    }  # fmt: skip
    score = rounded(shape.segment.confidence)
    return entry if score is None else entry | {"score": score}
