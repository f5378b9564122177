"""Base of the formats whose shapes are read into memory when the data are opened."""

import posixpath
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from model_store.class_info import ClassInfo
from model_store.labelled.base import Region, ShapedImages
from model_store.labelled.matching import NamedImages
from model_store.labelled.shapes import Shape
from model_store.labelled.splits import WHOLE, choose_split, is_usual
from model_store.labelled.survey import Survey, image_files, is_leftover


class Drawing(NamedTuple):
    """The labels of one image.

    image: its file; file: the file of its labels; size: (H, W) of the image that was labelled, None: not stated;
    shapes: class names and shapes, in the order in which they are drawn; part: of the data set, WHOLE: in no split.
    """

    image: Path
    file: Path
    size: tuple[int, int] | None
    shapes: Sequence[tuple[str, Shape]]
    part: str = WHOLE


class DrawnImages(ShapedImages):
    """Base of the formats whose shapes are read into memory when the data are opened.

    Attributes:
        root: folder or file of the data; drawings: the labels of each image; unused: number of shapes that are not
        used, by reason.
    """

    def __init__(self, root: Path, split: str) -> None:
        super().__init__(root.parent if root.is_file() else root, split)
        self.root = root
        self.drawings: list[Drawing] = []
        self.unused: Counter[str] = Counter()
        self._ids: dict[str, int] = {}

    def finish(
        self,
        drawings: Sequence[Drawing],
        classes: tuple[ClassInfo, ...],
        special: Mapping[str, int] | None = None,
        images: Mapping[str, Sequence[Path]] | None = None,
    ) -> None:
        """Take the drawings of the split, and note in the survey what is not used.

        Args:
            drawings: of all splits.
            classes: of the data set.
            special: class ids by names that are no classes, such as IGNORE.
            images: all images of each part, to note those without labels.

        Raises:
            ValueError: if two drawings are of one image, or there is no drawing of the split.
        """
        self.classes = classes
        self._ids = {**{info.name: info.class_id for info in classes}, **(special or {})}
        _check_once(drawings)
        part = choose_split(self.split, {drawing.part for drawing in drawings} or {WHOLE}, self.root)
        labelled = {drawing.image for drawing in drawings}
        for image in (images or {}).get(part, ()):
            if image not in labelled:
                self.survey.skip(image, "no labels")
        for drawing in drawings:
            if drawing.part == part:
                self._take(drawing)
            elif drawing.part == WHOLE:
                self.survey.skip(drawing.image, "in none of the splits")
        self.images = [drawing.image for drawing in self.drawings]
        self.survey.use(self.images)
        self.survey.notes += [not_used(count, "shape", reason) for reason, count in self.unused.items()]
        if not self.drawings:
            raise ValueError(f"{self.root} has no labelled image that can be used. {'; '.join(self.survey.lines(3))}")

    def _take(self, drawing: Drawing) -> None:
        """Take a drawing, without the shapes of unknown classes."""
        known = [(name, shape) for name, shape in drawing.shapes if name in self._ids]
        for name, _ in drawing.shapes:
            if name not in self._ids:
                self.unused[f"class {name!r} is not listed"] += 1
        if known or self.background is not None:
            self.drawings.append(drawing._replace(shapes=known))
        else:
            self.survey.skip(drawing.image, "no labels")

    def keep(self, chosen: Sequence[int]) -> None:
        super().keep(chosen)
        self.drawings = [self.drawings[i] for i in chosen]

    def regions(self, i: int, size: tuple[int, int]) -> Iterable[Region]:
        return self.drawn(self.drawings[i], size)

    def drawn(self, drawing: Drawing, size: tuple[int, int]) -> Iterator[Region]:
        """The regions of a drawing, see `regions`."""
        empty = 0
        if drawing.size is not None and drawing.size != size:
            raise ValueError(
                f"{drawing.file}: the labels were drawn on {drawing.size[1]}x{drawing.size[0]} pixels, and the upright "
                f"image {drawing.image.name} has {size[1]}x{size[0]}; use the image that was labelled"
            )
        for name, shape in drawing.shapes:
            try:
                mask, corner = shape.draw(size)
            except ValueError as error:
                raise ValueError(f"{drawing.file}: a shape of the class {name!r} cannot be used: {error}") from error
            empty += not mask.any()
            yield Region(self._ids[name], mask, corner)
        if empty:
            self.survey.found_empty(drawing.image, empty)


def not_used(count: int, what: str, reason: str) -> str:
    """A note of the survey: 2 shapes are not used: reason."""
    return f"{count} {what}{' is' if count == 1 else 's are'} not used: {reason}"


def files_below(
    folder: Path, survey: Survey, suffix: str, known: Collection[str] = ()
) -> tuple[list[Path], list[Path]]:
    """The image files below a folder, and the annotation files. The survey notes all others.

    Args:
        folder: folders in it are searched, too.
        survey: of the data set.
        suffix: of annotation files, in lower case.
        known: suffixes, in lower case, or names of other files that are expected.
    """
    others = Survey(survey.folder)
    images, annotations = image_files(folder, others, deep=True), []
    for name, reason in others.skipped.items():
        file, leftover = survey.folder / name, is_leftover(Path(name))
        if file.suffix.lower() == suffix and not leftover:
            annotations.append(file)
        elif leftover or (file.suffix.lower() not in known and file.name not in known):
            survey.skip(file, reason)
    return images, annotations


def by_part(images: Iterable[Path], folder: Path) -> dict[str, list[Path]]:
    """Images by the part that `part_of` states."""
    parts: dict[str, list[Path]] = {}
    for image in images:
        parts.setdefault(part_of(image, folder), []).append(image)
    return parts


def part_of(file: Path, folder: Path) -> str:
    """The first folder between `folder` and a file whose name is usual for a split, or WHOLE."""
    return next((part for part in file.relative_to(folder).parts[:-1] if is_usual(part)), WHOLE)


def locate(images: NamedImages, name: str, near: str) -> Path | None:
    """The image that an annotation file names.

    Args:
        images: of the data set.
        name: path of the image, relative to `near`, or of another machine.
        near: folder of the annotation file, as a path relative to the folder of the images.
    """
    path = name.replace("\\", "/")
    if not re.match(r"/|[A-Za-z]:", path):
        path = posixpath.normpath(posixpath.join(near, path))
    return images.find(path)


def _check_once(drawings: Iterable[Drawing]) -> None:
    seen: dict[Path, Path] = {}
    for drawing in drawings:
        if drawing.image in seen:
            files = sorted({str(seen[drawing.image]), str(drawing.file)})
            raise ValueError(f"{' and '.join(files)}: the image {drawing.image.name} is labelled twice; remove one")
        seen[drawing.image] = drawing.file
