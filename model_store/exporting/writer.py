"""What all formats of exports share."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from model_store.card import ClassInfo
from model_store.exporting.files import Files
from model_store.exporting.names import FileName
from model_store.exporting.results import ExportImage, SegmentShape, class_of, shapes_of

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class ExportOptions(NamedTuple):
    """Options of an export.

    polygons: True: outlines instead of masks, in formats that have both; a segment with holes stays a mask, because
    their polygons have no holes; False: masks; None: masks, but outlines in labelme; release: name of the release that
    labelled the images; image_prefix: for label-studio, put before the file names of images; join: whether touching
    segments of one class are exported as one, see `joined`; digest: identifies the content of the release; None: not
    known.
    """

    polygons: bool | None = None
    release: str = "segsort"
    image_prefix: str = "/data/local-files/?d=images/"
    join: bool = False
    digest: str | None = None

    @property
    def origin(self) -> dict[str, str]:
        """The release that labelled the images, as fields of JSON documents and names of elements."""
        digest = {} if self.digest is None else {"release_digest": self.digest}
        return {"release": self.release} | digest


class Writer(ABC):
    """Writes the labels of images in one format. Base of all formats.

    Attributes:
        name: of the format; media_type: of the file that holds the labels of one image; None: there are several files;
        suffix: of this file; about: what the files are, for the user; images: folder of the image files, "" for that of
        the labels; None: they are not stored; unlabelled: what becomes of segments without a known class, for the user.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    media_type: ClassVar[str | None] = "application/json"
    suffix: ClassVar[str] = ".json"
    images: ClassVar[str | None] = "images/"
    unlabelled: ClassVar[str] = "left out"

    def __init__(self, files: Files, classes: tuple[ClassInfo, ...], options: ExportOptions) -> None:
        self.files, self.classes, self.options = files, classes, options
        self.by_id = {info.class_id: info for info in classes}

    @abstractmethod
    def add(self, image: ExportImage, name: FileName) -> None:
        """Write an image. It is not kept.

        Args:
            image: whose labels are contiguous int32.
            name: of its file in the export.
        """

    def finish(self) -> None:
        """Write what comes after the images."""
        return None

    def known_shapes(self, image: ExportImage) -> Iterator[tuple[ClassInfo, SegmentShape]]:
        """The segments of an image that have a known class, and pixels."""
        for shape in shapes_of(image):
            info = class_of(shape.segment, self.by_id)
            if info is not None:
                yield info, shape


def rounded(confidence: float | None) -> float | None:
    """A confidence with as many digits as it has meaning."""
    return None if confidence is None else round(float(confidence), 4)


def xml_text(text: str) -> str:
    """A text without the characters that XML 1.0 has no way to write; U+FFFD stands for each."""
    return _NOT_XML.sub("\ufffd", text)
