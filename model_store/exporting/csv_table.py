"""The format `csv`: areas of classes, RFC 4180."""

import csv
import io

import numpy as np

from model_store.card import ClassInfo
from model_store.exporting.files import Files
from model_store.exporting.names import FileName
from model_store.exporting.results import ExportImage, areas_of, class_of
from model_store.exporting.writer import ExportOptions, Writer, rounded

COLUMNS = (
    "image", "image_id", "class_id", "class", "segments", "area", "share", "confidence", "release", "release_digest",
)  # fmt: skip


class CsvTable(Writer):
    """areas.csv in UTF-8, with a row for each image and class, also for classes that an image does not have.

    area: pixels; share: of the pixels of the image, 0..1; confidence: mean of the segments by area, 0..1, empty if no
    segment has one. The last row of an image, without class and class_id, has all other pixels: those of unknown
    segments and of no segment. The shares of an image sum to 1.
    """

    name = "csv"
    media_type, suffix, images = "text/csv", ".csv", None
    unlabelled = "the row without a class of each image"
    about = "areas.csv has the pixels and the share of each class in each image; the row without a class has the rest."

    def __init__(self, files: Files, classes: tuple[ClassInfo, ...], options: ExportOptions) -> None:
        super().__init__(files, classes, options)
        self._document = files.document("areas.csv")
        self._rows([list(COLUMNS)])

    def add(self, image: ExportImage, name: FileName) -> None:
        areas = areas_of(image)
        infos = [class_of(segment, self.by_id) for segment in image.segments]
        rows, rest, others = [], image.labels.size, len([area for area in areas.tolist() if area])
        for info in self.classes:
            numbers = [n for n, found in enumerate(infos) if found is info and areas[n]]
            area = int(areas[numbers].sum())
            rest, others = rest - area, others - len(numbers)
            share = area / image.labels.size
            confidence = _confidence(image, numbers, areas)
            rows.append([str(name), image.image_id, info.class_id, info.name, len(numbers), area, share, confidence])
        rows.append([str(name), image.image_id, "", "", others, rest, rest / image.labels.size, ""])
        self._rows([[*row, self.options.release, self.options.digest or ""] for row in rows])

    def _rows(self, rows: list[list[object]]) -> None:
        with io.StringIO(newline="") as text:
            csv.writer(text, lineterminator="\r\n").writerows(rows)
            self._document.write(text.getvalue().encode())


def _confidence(image: ExportImage, numbers: list[int], areas: np.ndarray) -> float | str:
    """Mean confidence of segments, by area; "" if none has one."""
    measured = [n for n in numbers if image.segments[n].confidence is not None]
    if not measured:
        return ""
    values = [float(image.segments[n].confidence or 0) for n in measured]
    return rounded(float(np.average(values, weights=areas[measured]))) or 0.0
