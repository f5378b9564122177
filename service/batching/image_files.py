"""Image files on this machine: found on a command line, and the files that their answers become."""

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from model_store.labelled import MapPlace, Survey, image_files, map_place
from segsort.retrieval import NO_CLASS
from service.answering.engine import Engine
from service.batching.answer_files import Body, segment_map
from service.images.decode import decode_within
from service.images.drawing import contact_sheet, label_map_png, overlay, resampled

_LISTED = 5  # exemplars of each segment in the JSON of an image, and on its sheet


def found_images(paths: Sequence[Path]) -> list[Path]:
    """The images of a command line: files, and the image files of folders. What folders have besides is printed.

    Raises:
        ValueError: if a folder has no image.
    """
    files = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        survey = Survey(path)
        found = image_files(path, survey)
        if not found:
            raise ValueError(f"{path} has no images; give image files, or a folder that has some")
        for name, reason in survey.skipped.items():
            print(f"{path / name}: skipped, {reason}", file=sys.stderr)
        files += found
    return files


def output_names(images: Sequence[Path]) -> list[str]:
    """One unique output name for each image: its file name without suffix, numbered if several share it."""
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    names: list[str] = []
    for file in images:
        name = file.stem
        while name in taken:
            numbers[file.stem] = numbers.get(file.stem, 1) + 1
            name = f"{file.stem}-{numbers[file.stem]}"
        taken.add(name)
        names.append(name)
    return names


class AnswerOutputs:
    """The files that an answer becomes: NAME.overlay.png, .labels.png, .json, and .exemplars.png if sheets are wanted.

    Args:
        engine: has the release that answered.
        sheets: whether a sheet shows the exemplars of each segment; it has about 9 MB for an image of a megapixel.

    Attributes:
        sheets: as given.
        suffixes: what follows the name of the image in the names of its files.
    """

    def __init__(self, engine: Engine, sheets: bool) -> None:
        self._engine, self.sheets = engine, sheets
        self.suffixes = [".overlay.png", ".labels.png", ".json", *[".exemplars.png"] * sheets]

    def files(self, body: Body, content: bytes) -> dict[str, bytes]:
        """The files of an image, by what follows its name.

        Args:
            body: its answer.
            content: the image file.

        Raises:
            Problem: if the image cannot be decoded.
        """
        settings, release = self._engine.settings, self._engine.served.release
        shown = body | {"segments": [one | {"exemplars": one["exemplars"][:_LISTED]} for one in body["segments"]]}
        image = decode_within(content, settings.max_pixels, settings.max_full_pixels).pixels
        shape = (image.shape[0], image.shape[1])  # of a very large JPEG, a fraction of the size of the labels
        full = segment_map(body)
        classes, labels = release.card.classes, resampled(full, shape)
        known = np.array([one["known"] for one in body["segments"]], dtype=bool)
        class_ids = np.array([NO_CLASS if one["class_id"] is None else one["class_id"] for one in body["segments"]])
        seen = np.where(known[labels], class_ids[labels], NO_CLASS)
        class_map = class_ids.astype(np.int16)[full]
        found = {
            ".overlay.png": _png(overlay(image, seen, labels, classes)),
            ".labels.png": label_map_png(class_map, classes),
            ".json": json.dumps(shown).encode(),
        }
        if self.sheets:
            found[".exemplars.png"] = _png(contact_sheet(image, labels, shown, release, release.rows))
        return found


def place_of(file: Path) -> MapPlace | None:
    """The place of an image on a map; None if it has none, or a damaged one, which is printed."""
    try:
        return map_place(file)
    except ValueError as error:
        print(f"{error}; its export has pixels as coordinates", file=sys.stderr)
        return None


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
