"""Files that belong together: images and masks of one relative path, and images that annotation files name."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from model_store.labelled.survey import Survey, image_files, stem_key


def by_path(folder: Path, survey: Survey, ending: str = "") -> dict[str, Path]:
    """The image files below a folder, by relative path.

    Args:
        folder: folders in it are searched, too.
        survey: notes files that are no images, and images whose stem has another ending.
        ending: of the stems, for example "_leftImg8bit".

    Returns:
        The file of each relative path in NFC, with "/", without suffix and `ending`.

    Raises:
        ValueError: if two files differ in the suffix only.
    """
    found: dict[str, Path] = {}
    for file in image_files(folder, survey, deep=True):
        path = stem_key(file.relative_to(folder).with_suffix("").as_posix())
        if not path.endswith(ending):
            survey.skip(file, f"its name does not end with {ending}")
            continue
        key = path.removesuffix(ending)
        if key in found:
            raise ValueError(f"{found[key].name} and {file.name} in {file.parent} have one name; rename or remove one")
        found[key] = file
    return found


def pair_paths(images: dict[str, Path], masks: dict[str, Path], survey: Survey) -> list[tuple[Path, Path]]:
    """Pair images and masks by the paths that `by_path` gives. The survey notes those without a partner."""
    for key, image in images.items():
        if key not in masks:
            survey.skip(image, "no mask")
    for key, mask in masks.items():
        if key not in images:
            survey.skip(mask, "a mask without an image")
    return [(image, masks[key]) for key, image in images.items() if key in masks]


class NamedImages:
    """The images of a folder, to be found by the names that an annotation file states.

    A name may be a path of another machine, with "/" or "\\". Only files below the folder are found, whatever it says.

    Args:
        folder: of the images.
        files: the image files in it and in its folders.
    """

    def __init__(self, folder: Path, files: Iterable[Path]) -> None:
        self.files = list(files)
        self._by_path = {stem_key(file.relative_to(folder).as_posix()): file for file in self.files}
        self._by_name: dict[str, list[Path]] = {}
        for path, file in self._by_path.items():
            self._by_name.setdefault(PurePosixPath(path).name, []).append(file)

    def find(self, name: str) -> Path | None:
        """The file whose path below the folder is the longest end of `name`, or the only file of its last part."""
        parts = [part for part in stem_key(name).replace("\\", "/").split("/") if part not in ("", ".", "..")]
        for first in range(len(parts)):
            file = self._by_path.get("/".join(parts[first:]))
            if file is not None:
                return file
        alike = self._by_name.get(parts[-1], []) if parts else []
        return alike[0] if len(alike) == 1 else None
