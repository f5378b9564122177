"""Answers of /releases/compare."""

from pydantic import Field

from service.http.wire.base import Release, Wire
from service.http.wire.masks import Mask

_MIOU = "mIoU on the marked pixels, 0 to 1, over the classes of the marks; null: no pixel is marked."


class ComparedClass(Wire):
    """The pixels of an image to which a release gives one label."""

    class_name: str | None = Field(description="Name of the class; null: pixels without a label, which are unknown.")
    color: str = Field(description="Its colour as #rrggbb.", examples=["#804080"])
    area: int = Field(ge=1, description="Pixels.", examples=[2400])
    mask: Mask = Field(description="These pixels.")


class ComparedImage(Wire):
    """One image labelled by two releases."""

    segmentation_id: str = Field(description="Id of the answer whose image it is.", examples=["3f" * 16])
    image_url: str = Field(description="URL of the image.", examples=[f"/segmentations/{'3f' * 16}/image"])
    width: int = Field(ge=1, description="Pixels.", examples=[480])
    height: int = Field(ge=1, description="Pixels.", examples=[360])
    agreement: float = Field(ge=0, le=1, description="Share of the pixels with the same name, or no label, from both.")
    marked_pixels: int = Field(ge=0, description="Number of marked pixels.", examples=[0])
    miou_a: float | None = Field(ge=0, le=1, description=_MIOU)
    miou_b: float | None = Field(ge=0, le=1, description=_MIOU)
    a: list[ComparedClass] = Field(description="Labels of the first release, the largest area first.")
    b: list[ComparedClass] = Field(description="Labels of the second release, the largest area first.")


class Comparison(Wire):
    """Two releases on the same images."""

    a: Release = Field(description="The first release.")
    b: Release = Field(description="The second release.")
    agreement: float = Field(
        ge=0, le=1, description="Share of the pixels of all images with the same name, or no label, from both."
    )
    marked_pixels: int = Field(ge=0, description="Number of marked pixels in all images.", examples=[0])
    miou_a: float | None = Field(ge=0, le=1, description=_MIOU)
    miou_b: float | None = Field(ge=0, le=1, description=_MIOU)
    images: list[ComparedImage] = Field(description="The images, in the order of the request.")
