"""Regions of an image: boxes, masks and outlines."""

from typing import Annotated

from pydantic import Field

from service.http.wire.base import Wire

BBox = Annotated[
    list[int],
    Field(
        min_length=4,
        max_length=4,
        description="Bounding box [x, y, width, height] in pixels; x and y of its top left corner.",
        examples=[[24, 0, 48, 36]],
    ),
]
Size = Annotated[
    list[int],
    Field(min_length=2, max_length=2, description="[height, width] of the image in pixels.", examples=[[480, 640]]),
]


class Mask(Wire):
    """Pixels of one region as COCO compressed run lengths; `pycocotools.mask.decode` reads it."""

    size: Size
    counts: str = Field(description="Compressed run lengths, column by column.", examples=["0d0`13L4M3N2"])


class PolygonMask(Wire):
    """Outlines of one region."""

    size: Size
    polygons: list[list[list[float]]] = Field(
        description="Closed rings of points [x, y] in pixels. Holes run in the opposite direction.",
        examples=[[[[24, 0], [72, 0], [72, 36], [24, 36]]]],
    )
