"""Operations that export answers in the formats of other tools."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import httpx

from segsort_client.asking import Request
from segsort_client.flow import Flow, operation
from segsort_client.operations.base import Asking
from segsort_client.results.answers import Segmentation, SegmentationSummary
from segsort_client.strokes import id_of

Format: TypeAlias = Literal["coco", "png", "color-png", "yolo", "geojson", "label-studio", "cvat", "labelme", "csv"]


@dataclass(frozen=True)
class Export:
    """An export.

    Attributes:
        name: name of the file, as the service proposes it.
        media_type: its media type.
        content: the file; empty if it was written to `path`.
        path: file that it was written to; None: it is in `content`.
    """

    name: str
    media_type: str
    content: bytes
    path: Path | None = None

    def save(self, folder: str | os.PathLike[str] = ".") -> Path:
        """Write the file into a folder, under its name."""
        path = Path(folder) / self.name
        path.write_bytes(self.content)
        return path


class Exporting(Asking):
    """Export answers."""

    @operation
    def export(
        self, format: Format = "coco", segmentations: Iterable[Segmentation | SegmentationSummary | str] | None = None,
        *, limit: int = 50, latest: bool = False, images: bool = False, polygons: bool | None = None,
        single: bool = False, join: bool = False, names: Mapping[str, str] | None = None,
        out: str | os.PathLike[str] | None = None,
    ) -> Flow[Export]:  # fmt: skip
        """Export answers, in the format of another tool.

        Args:
            format: coco, png, color-png, yolo, geojson, label-studio, cvat, labelme or csv.
            segmentations: answers or their ids, at most 1000; None: the newest ones.
            limit, latest: without `segmentations`: how many, and whether only the newest answer of each image.
            images: also the image files.
            polygons: outlines or masks, in formats that have both; None: what is usual.
            single: one file for all images, in the formats coco, label-studio, cvat and csv.
            join: touching segments of one class are one object.
            names: names of image files by the ids of answers; those of the answers are taken where it has none.
            out: file to write to, for exports that are too large for memory.

        Returns:
            Of one answer, the file of its labels if the format has one; otherwise a ZIP archive.
        """
        options = {"format": format, "images": images, "polygons": polygons, "single": single, "join": join}
        path = None if out is None else Path(out)
        if segmentations is None:
            params = options | {"limit": limit, "latest": latest}
            asked = Request("GET", ("export",), params, repeatable=True, accept="*/*", out=path)
        else:
            chosen = list(segmentations)
            named = {one.segmentation_id: one.name for one in chosen if isinstance(one, Segmentation) and one.name}
            body = options | {
                "segmentation_ids": [id_of(one, "segmentation_id") for one in chosen],
                "names": named | dict(names or {}),
            }  # fmt: skip
            sent = {name: value for name, value in body.items() if value is not None}
            asked = Request("POST", ("export",), json_body=sent, repeatable=True, accept="*/*", out=path)
        return export_of(asked, (yield from self._service.ask(asked)))


def export_of(asked: Request, answer: httpx.Response) -> Export:
    """The export of an answer."""
    named = re.search(r'filename="([^"/\\]+)"', answer.headers.get("content-disposition", ""))
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    name = named[1] if named else "segsort-export"
    return Export(name, media_type, b"" if asked.out else answer.content, asked.out)
