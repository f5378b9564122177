"""The format `color-png`: masks in the colours of classes."""

import numpy as np
from PIL import Image

from model_store.card import ClassInfo
from model_store.exporting.colours import classes_json, distinct_colours
from model_store.exporting.files import Files
from model_store.exporting.names import FileName
from model_store.exporting.png import png_of
from model_store.exporting.results import ExportImage, class_of
from model_store.exporting.writer import ExportOptions, Writer


class ColorPng(Writer):
    """An RGB PNG for each image, masks/STEM.png, and the legend classes.json.

    Pixels of unknown segments and of no segment have a colour of no class, "ignore" of the legend. With the images in
    images/, this is the format `folder` of `model_store.labelled`.
    """

    name = "color-png"
    media_type, suffix = None, ".png"
    unlabelled = 'unlabelled: the colour "ignore" of classes.json'
    about = (
        "masks/ has a PNG for each image, in the colours of the legend classes.json.\n"
        "Copy the images into images/, and `segsort build` reads this folder."
    )

    def __init__(self, files: Files, classes: tuple[ClassInfo, ...], options: ExportOptions) -> None:
        super().__init__(files, classes, options)
        colours, self._unlabelled = distinct_colours(classes)
        self._colours = {info.class_id: colour for info, colour in zip(classes, colours, strict=True)}
        files.put("classes.json", classes_json(classes, colours, self._unlabelled, options.origin))

    def add(self, image: ExportImage, name: FileName) -> None:
        table = np.full((len(image.segments) + 1, 3), self._unlabelled, dtype=np.uint8)  # the last: in no segment, -1
        for number, segment in enumerate(image.segments):
            info = class_of(segment, self.by_id)
            if info is not None:
                table[number] = self._colours[info.class_id]
        self.files.put(f"masks/{name.stem}.png", png_of(Image.fromarray(table[image.labels])))
