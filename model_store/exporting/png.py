"""The format `png`: masks with class ids, in the layout of the format `folder`."""

import io

import numpy as np
from PIL import Image

from model_store.card import ClassInfo
from model_store.exporting.colours import classes_json, distinct_colours
from model_store.exporting.files import Files
from model_store.exporting.names import FileName
from model_store.exporting.results import ExportImage, class_of
from model_store.exporting.writer import ExportOptions, Writer
from model_store.labelled import IGNORE


class Png(Writer):
    """A palette PNG of class ids for each image: masks/STEM.png, and classes.json.

    Pixels of unknown segments and of no segment are 255. The palette has the colours of the classes. With the images in
    images/, this is the format `folder` of `model_store.labelled`.

    Raises:
        ValueError: if a class id is above 254.
    """

    name = "png"
    media_type, suffix = None, ".png"
    unlabelled = "unlabelled: 255"
    about = (
        "masks/ has a PNG for each image, whose pixels are the class ids of classes.json; 255 is unlabelled.\n"
        "Copy the images into images/, and `segsort build` reads this folder."
    )

    def __init__(self, files: Files, classes: tuple[ClassInfo, ...], options: ExportOptions) -> None:
        super().__init__(files, classes, options)
        if self.by_id and max(self.by_id) >= IGNORE:
            raise ValueError(
                f"class {max(self.by_id)} does not fit a PNG, whose ids are 0..{IGNORE - 1}; export as coco"
            )
        colours, unlabelled = distinct_colours(classes)
        self._palette = np.zeros((256, 3), dtype=np.uint8)
        self._palette[[info.class_id for info in classes]] = np.array(colours, dtype=np.uint8).reshape(-1, 3)
        self._palette[IGNORE] = unlabelled
        files.put("classes.json", classes_json(classes, colours, IGNORE, options.origin))

    def add(self, image: ExportImage, name: FileName) -> None:
        mask = Image.fromarray(class_ids(image, self.by_id))
        mask.putpalette(self._palette.tobytes())
        self.files.put(f"masks/{name.stem}.png", png_of(mask))


def class_ids(image: ExportImage, classes: dict[int, ClassInfo]) -> np.ndarray:
    """[H, W] uint8, class id of each pixel, or IGNORE. The ids must be below it."""
    table = np.full(len(image.segments) + 1, IGNORE, dtype=np.uint8)  # the last is for pixels in no segment, -1
    for number, segment in enumerate(image.segments):
        info = class_of(segment, classes)
        if info is not None:
            table[number] = info.class_id
    return np.asarray(table[image.labels])


def png_of(image: Image.Image) -> bytes:
    """The file of an image."""
    with io.BytesIO() as file:
        image.save(file, "PNG")
        return file.getvalue()
