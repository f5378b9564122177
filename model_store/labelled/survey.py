"""What was found in a folder of images: which files are used, which are not, and why."""

import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_store.images import SUFFIXES

LEFTOVERS = ("thumbs.db", "desktop.ini", "__macosx")  # of file managers, besides all names that begin with a dot


@dataclass
class Survey:
    """Files of a data set, named relative to its folder.

    used: images; skipped: reason by file; converted: by image that was read, what was done to its values; empty: number
    of shapes that cover no pixel, by image that was read; notes: other things that a user should know.
    """

    folder: Path
    used: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    converted: dict[str, str] = field(default_factory=dict)
    empty: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def skip(self, file: Path, reason: str) -> None:
        """Note that a file is not used."""
        self.skipped[self._name(file)] = reason

    def convert(self, image: Path, conversion: str | None) -> None:
        """Note what was done to the values of an image; None: nothing."""
        if conversion is not None:
            self.converted[self._name(image)] = conversion

    def found_empty(self, image: Path, shapes: int) -> None:
        """Note that shapes of an image cover no pixel."""
        self.empty[self._name(image)] = shapes

    def use(self, files: Iterable[Path]) -> None:
        """Note the images that are used."""
        self.used = [self._name(file) for file in files]

    def lines(self, most: int = 5) -> list[str]:
        """The survey in words, at most `most` files for each reason."""
        told = [f"{len(self.used)} images are used"]
        told += [f"{len(names)} skipped, {why}: {_listed(names, most)}" for why, names in _grouped(self.skipped)]
        told += [f"{len(names)} converted, {how}: {_listed(names, most)}" for how, names in _grouped(self.converted)]
        if self.empty:
            told.append(f"{sum(self.empty.values())} shapes cover no pixel, in {_listed(list(self.empty), most)}")
        return [*told, *self.notes]

    def facts(self, most: int = 100) -> dict[str, Any]:
        """The survey for a card, at most `most` files for each reason."""
        return {
            "used": len(self.used),
            "skipped": {why: {"count": len(names), "files": names[:most]} for why, names in _grouped(self.skipped)},
            "converted": {how: len(names) for how, names in _grouped(self.converted)[:most]},
            "shapes_without_pixels": sum(self.empty.values()),
            "notes": list(self.notes),
        }

    def _name(self, file: Path) -> str:
        return str(file.relative_to(self.folder)) if file.is_relative_to(self.folder) else str(file)


def _grouped(reasons: dict[str, str]) -> list[tuple[str, list[str]]]:
    """Files by reason, the most frequent first."""
    found: dict[str, list[str]] = {}
    for name, reason in sorted(reasons.items()):
        found.setdefault(reason, []).append(name)
    return sorted(found.items(), key=lambda one: -len(one[1]))


def image_files(folder: Path, survey: Survey, *, deep: bool = False, known: Collection[str] = ()) -> list[Path]:
    """The image files of a folder, by name. Other files are noted in the survey.

    Args:
        folder: of images. Suffixes count in any case.
        survey: to note what is skipped.
        deep: whether folders in it are searched, too.
        known: names of other files that are expected, and not noted.
    """
    found = []
    for file in sorted(folder.rglob("*") if deep else folder.glob("*")):
        if is_leftover(file.relative_to(folder)):
            if file.is_file():
                survey.skip(file, "left by a file manager or an editor")
        elif file.is_file():
            if file.suffix.lower() in SUFFIXES:
                found.append(file)
            elif file.name not in known:
                survey.skip(file, "not an image by its suffix")
    return found


def is_leftover(file: Path) -> bool:
    """Whether a file manager or an editor left a file: hidden files, those in hidden folders, and LEFTOVERS."""
    return any(part.startswith(".") or part.lower() in LEFTOVERS for part in file.parts)


def stem_key(name: str) -> str:
    """What files of one image have in common: the name in NFC, because some systems store NFD."""
    return unicodedata.normalize("NFC", name)


def pair(images: list[Path], masks: list[Path], survey: Survey, ending: str = "") -> list[tuple[Path, Path]]:
    """Pair images and masks by their stems.

    Args:
        images: image files.
        masks: mask files, whose stems are those of images, plus `ending`.
        survey: notes images without a mask, and masks without an image.
        ending: for example "_mask".

    Raises:
        ValueError: if several images, or several masks, have one stem.
    """
    by_stem = _by_stem(masks, ending, "masks")
    pairs = []
    for stem, image in _by_stem(images, "", "images").items():
        mask = by_stem.pop(stem, None)
        if mask is None:
            survey.skip(image, "no mask")
        else:
            pairs.append((image, mask))
    for mask in by_stem.values():
        survey.skip(mask, "a mask without an image")
    return pairs


def _by_stem(files: list[Path], ending: str, what: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in files:
        stem = stem_key(file.stem)
        if not stem.endswith(ending):
            continue
        stem = stem[: len(stem) - len(ending)]
        if stem in found:
            raise ValueError(
                f"{found[stem].name} and {file.name} in {file.parent} are {what} of one name; rename or remove one of "
                "them, so that each image has one mask"
            )
        found[stem] = file
    return found


def _listed(names: list[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(sorted(names)[:most])}{more}"
