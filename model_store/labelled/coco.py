"""The format `coco`: COCO's annotation files of instances (polygons, run-length encodings) and of panoptic maps."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from model_store.images import read_mask
from model_store.labelled.base import Region, ShapedImages
from model_store.labelled.coco_document import Document, Entry, ImageId, Rings, Runs, Segments, read_document
from model_store.labelled.coco_layout import annotation_files, data_folder, image_folders, is_of_another_split, rivals
from model_store.labelled.coco_runs import covered
from model_store.labelled.matching import NamedImages
from model_store.labelled.samples import IGNORE
from model_store.labelled.shapes import Patch, Polygon
from model_store.labelled.splits import choose_split
from model_store.labelled.survey import Survey, image_files


class Coco(ShapedImages):
    """Images that a COCO annotation file describes (https://cocodataset.org/#format-data).

    Layouts: annotations/instances_SPLIT.json or panoptic_SPLIT.json with images in SPLIT/, images/SPLIT/ or images/
    (COCO, CVAT, Datumaro); SPLIT/_annotations.coco.json beside the images (Roboflow); one file in the folder, with
    images beside it, in images/ (Label Studio) or in data/ (FiftyOne); or the annotation file itself. The PNG of
    panoptic maps are in the folder that is named as the annotation file.

    The classes are the categories in the order of their ids. Annotations are drawn in the order of the file, crowds as
    other annotations. Pixels in no annotation are unlabelled. The survey counts annotations that have no mask.

    Raises:
        ValueError: if there is no annotation file of the split, if it is malformed, or none of its images is found.
            Reading an image also raises it: if a mask is malformed or was drawn on an image of another size.
    """

    name = "coco"

    @classmethod
    def found(cls, root: Path) -> bool:
        return bool(annotation_files(root))

    def __init__(self, root: Path, split: str) -> None:
        base = data_folder(root)
        super().__init__(base, split)
        files = annotation_files(root)
        if not files:
            raise ValueError(
                f'{root} has no COCO annotation file; it must be a JSON file with "images", "annotations" and '
                '"categories", or a folder with such files in annotations/'
            )
        part = choose_split(split, files, root)
        self._document = read_document(files[part])
        self.classes = self._document.classes
        self.survey.notes += self._document.notes
        if not root.is_file():
            self.survey.notes += [
                f"{rival.name} is not used, but {files[part].name}; name the file itself to use it"
                for rival in rivals(files[part])
            ]
        self._contents = self._located(image_folders(base, files[part], part), part)
        self.images = list(self._contents)
        self.survey.use(self.images)
        if not self.images:
            raise ValueError(f"{files[part]} has no image with a mask. {'; '.join(self.survey.lines(3))}")

    def _located(self, folders: list[Path], part: str) -> dict[Path, ImageId]:
        """The id of each image that has labels, by its file. Others are noted in the survey."""
        document = self._document
        found: dict[Path, ImageId] = {}
        for folder in folders:
            aside = Survey(self.survey.folder)
            files = image_files(folder, aside, deep=True, known=(document.file.name,))
            images = NamedImages(folder, [file for file in files if not is_of_another_split(file, folder, part)])
            for number, entry in document.images.items():
                file = images.find(entry.file_name)
                if file in found:
                    raise ValueError(f"{document.file} has two images that are the file {file}; give each its own file")
                if file is not None:
                    found[file] = number
            if found:
                self._note_unused(images, found, aside)
                return {file: number for file, number in found.items() if self._has_labels(number)}
        names = [entry.file_name for entry in document.images.values()]
        raise ValueError(
            f"none of the {len(names)} images of {document.file} is found, for example {names[:1]}; put them into one "
            f"of the folders {', '.join(map(str, folders))}"
        )

    def _note_unused(self, images: NamedImages, found: dict[Path, ImageId], aside: Survey) -> None:
        """Note images without a file or without labels, and the other files in the folders of the images."""
        document, numbers = self._document, set(found.values())
        for number, entry in document.images.items():
            if number not in numbers:
                self.survey.skip(Path(entry.file_name), f"listed in {document.file.name}, but not found")
        for file, number in found.items():
            if not self._has_labels(number):
                self.survey.skip(file, "no annotation that can be used")
        beside = {file.parent for file in found}
        for file in images.files:
            if file not in found and file.parent in beside:
                self.survey.skip(file, f"not listed in {document.file.name}")
        for name, reason in aside.skipped.items():
            if (aside.folder / name).parent in beside:
                self.survey.skipped[name] = reason

    def _has_labels(self, number: ImageId) -> bool:
        return number in self._document.shapes or number in self._document.maps

    def labels(self, i: int, size: tuple[int, int]) -> np.ndarray:
        number = self._contents[self.images[i]]
        self._check_size(self._document.images[number], size)
        segments = self._document.maps.get(number)
        return super().labels(i, size) if segments is None else self._panoptic(segments, size)

    def regions(self, i: int, size: tuple[int, int]) -> Iterator[Region]:
        number, empty = self._contents[self.images[i]], 0
        for shape in self._document.shapes.get(number, []):
            patches = self._patches(shape, self._document.images[number], size)
            empty += not any(patch.mask.any() for patch in patches)
            yield from (Region(shape.class_id, *patch) for patch in patches)
        if empty:
            self.survey.found_empty(self.images[i], empty)

    def _patches(self, shape: Rings | Runs, entry: Entry, size: tuple[int, int]) -> list[Patch]:
        """The pixels of an annotation. Several polygons cover the union of their insides, so each is a patch."""
        if isinstance(shape, Rings):
            return [Polygon((ring,)).draw(size) for ring in shape.rings]
        try:
            return [Patch(covered(shape, size), (0, 0))]
        except ValueError as error:
            raise ValueError(f"{self._document.file}: image {entry.file_name}: {error}") from error

    def _check_size(self, entry: Entry, size: tuple[int, int]) -> None:
        if entry.size is not None and entry.size != size:
            raise ValueError(
                f"{self._document.file} describes {entry.file_name} as {entry.size[1]}x{entry.size[0]}, but the "
                f"upright image has {size[1]}x{size[0]}; use the image that was annotated"
            )

    def _panoptic(self, segments: Segments, size: tuple[int, int]) -> np.ndarray:
        """Labels of a panoptic PNG, whose colour is the number of a segment: red + 256 green + 65536 blue; 0: none."""
        file = _map_file(self._document, segments)
        mask = read_mask(file)
        numbers = (mask.colours >> 16) | (mask.colours & 0xFF00) | ((mask.colours & 0xFF) << 16)
        if numbers.shape != size:
            raise ValueError(f"{file} is {numbers.shape[1]}x{numbers.shape[0]}, its image {size[1]}x{size[0]}")
        present, places = np.unique(numbers, return_inverse=True)
        known = {0: IGNORE, **segments.classes}
        strange = [number for number in present.tolist() if number not in known]
        if strange:
            raise ValueError(f"{file} has the segments {strange[:8]}, which {self._document.file.name} does not list")
        classes = np.array([known[number] for number in present.tolist()], dtype=np.uint8)
        return np.asarray(classes[places.reshape(size)])


def _map_file(document: Document, segments: Segments) -> Path:
    """The PNG of a panoptic map: in the folder named as the annotation file, here or one level up, or beside it."""
    folder = document.file.parent
    name = Path(segments.file_name.replace("\\", "/")).name
    places = [folder / document.file.stem, folder.parent / document.file.stem, folder]
    for place in places:
        if (place / name).is_file():
            return place / name
    raise ValueError(f"{name}, a panoptic map of {document.file}, is in none of {', '.join(map(str, places))}")
