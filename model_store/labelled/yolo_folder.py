"""Where the images, label files and class names of a YOLO data set are stored."""

import re
from pathlib import Path

from model_store.images import SUFFIXES
from model_store.labelled.class_lists import read_names, read_text
from model_store.labelled.documents import beginning
from model_store.labelled.drawn import files_below
from model_store.labelled.splits import WHOLE, is_usual
from model_store.labelled.survey import Survey, is_leftover
from model_store.labelled.yaml_subset import SimpleYaml

IMAGES, LABELS = "images", "labels"
CONFIGS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
LISTS = ("classes.txt", "obj.names")  # of class names
_NO_SPLITS = ("path", "names", "nc", "kpt_shape", "flip_idx", "download", "roboflow", "channels")
_OTHER_TEXTS = ("classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "notes.json", "labels.cache")


def is_yolo(root: Path) -> bool:
    """Whether a folder has class names and label files, or a file is the data.yaml of such a folder."""
    if root.is_dir():
        folder, named = root, _config(root) is not None or any((root / name).is_file() for name in LISTS)
    else:
        folder, named = root.parent, _is_config(root)
    patterns = (f"{LABELS}/*.txt", f"{LABELS}/*/*.txt", f"*/{LABELS}/*.txt")
    return named and any(next(folder.glob(pattern), None) is not None for pattern in patterns)


class YoloFolder:
    """A YOLO data set in a folder.

    Attributes:
        root: the folder; source: the file with the class names; names: of the classes by index, in the order of
        indices; keypoints: whether the label files describe keypoints.

    Args:
        root: the folder, or its data.yaml.

    Raises:
        ValueError: if there are no class names, or data.yaml is malformed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root if root.is_dir() else root.parent
        file = _config(root) if root.is_dir() else root
        lists = [self.root / name for name in LISTS if (self.root / name).is_file()]
        if file is None and not lists:
            raise ValueError(f"{root} has no {CONFIGS[0]} and no {LISTS[0]}; name the classes in one of them")
        self._config = None if file is None else SimpleYaml(file)
        self.source = lists[0] if file is None else file
        self.names = dict(enumerate(read_names(lists[0]))) if self._config is None else _names(self._config)
        self.keypoints = self._config is not None and "kpt_shape" in self._config.names()

    def parts(self) -> dict[str, list[Path]]:
        """The existing folders, lists and images of each split.

        Raises:
            ValueError: if there are none.
        """
        parts = {} if self._config is None else self._stated(self._config)
        if not parts:
            folders = sorted(folder for folder in self.root.glob("*") if not is_leftover(Path(folder.name)))
            folders = [folder for folder in folders if (folder / IMAGES).is_dir() and (folder / LABELS).is_dir()]
            parts = {folder.name: [folder / IMAGES] for folder in folders}
        if not parts:
            images, labels = self.root / IMAGES, self.root / LABELS
            folders = sorted(folder for folder in images.glob("*") if folder.is_dir())
            parts = {folder.name: [folder] for folder in folders if (labels / folder.name).is_dir()}
            parts = parts or ({WHOLE: [images]} if images.is_dir() else {})
        if not parts:
            raise ValueError(
                f"{self.root} has no images; they must be in the folders that {CONFIGS[0]} states, or in {IMAGES}/"
            )
        return parts

    def images(self, places: list[Path], survey: Survey) -> list[Path]:
        """The image files of a split.

        Args:
            places: of the split.
            survey: notes images that are missing, files that are no images, and label files without an image.
        """
        found: dict[Path, None] = {}
        for place in places:
            if place.is_dir():
                images, texts = files_below(place, survey, ".txt", _OTHER_TEXTS)
                self._note_lonely(place, images, texts, survey)
                found.update(dict.fromkeys(images))
            elif place.suffix.lower() == ".txt":
                for line in filter(None, map(str.strip, read_text(place).splitlines())):
                    image = self._resolved(line)
                    if image is not None and image.suffix.lower() in SUFFIXES:
                        found[image] = None
                    else:
                        survey.skip(Path(line), f"listed in {place.name}, but not found")
            elif place.suffix.lower() in SUFFIXES:
                found[place] = None
        return list(found)

    def label_file(self, image: Path) -> Path:
        """The label file of an image, in labels/ or beside it; it may be missing."""
        mirror, beside = self._mirrored(image.with_suffix(".txt")), image.with_suffix(".txt")
        return beside if mirror is None or (beside.is_file() and not mirror.is_file()) else mirror

    def _stated(self, config: SimpleYaml) -> dict[str, list[Path]]:
        """The splits of data.yaml with the paths that exist below the root."""
        parts: dict[str, list[Path]] = {}
        for name in config.names():
            try:
                value = None if name in _NO_SPLITS else config.get(name)
            except ValueError:
                continue  # a member that is no split
            stated = [value] if isinstance(value, str) else value if isinstance(value, list) else []
            places = [place for place in map(self._resolved, stated) if place is not None]
            if places:
                parts[name] = places
        return parts

    def _resolved(self, stated: str) -> Path | None:
        """The file or folder that a path means, or None.

        It may be absolute, of another machine, or relative to the `path` of data.yaml: the longest end of it that
        exists below the root counts.
        """
        base = self._config.get("path") if self._config is not None else None
        for whole in (f"{base}/{stated}", stated) if isinstance(base, str) else (stated,):
            parts = [part for part in re.split(r"[/\\]+", whole) if part not in ("", ".", "..") and part[-1] != ":"]
            for first in range(len(parts)):
                place = self.root.joinpath(*parts[first:])
                if place.exists() and not (first and parts[first] == IMAGES and is_usual(parts[first - 1])):
                    return place  # of SPLIT/images, images/ alone would be that of all splits
        return self.root if not stated.strip("./\\") else None

    def _note_lonely(self, folder: Path, images: list[Path], texts: list[Path], survey: Survey) -> None:
        labels, mirror = {self.label_file(image) for image in images}, self._mirrored(folder)
        if mirror is not None and mirror.is_dir():
            texts = [*texts, *mirror.rglob("*.txt")]
        for text in texts:
            if text not in labels and text.name not in _OTHER_TEXTS:
                survey.skip(text, "a label file without an image")

    def _mirrored(self, image: Path) -> Path | None:
        """A path with labels/ for the last images/ below the root."""
        parts = list(image.relative_to(self.root).parts)
        if IMAGES not in parts:
            return None
        parts[len(parts) - 1 - parts[::-1].index(IMAGES)] = LABELS
        return self.root.joinpath(*parts)


def _names(config: SimpleYaml) -> dict[int, str]:
    found, count = config.get("names"), config.get("nc")
    if isinstance(found, list):
        found = {str(i): name for i, name in enumerate(found)}
    if not isinstance(found, dict) or not all(index.isdecimal() and name for index, name in found.items()):
        raise ValueError(
            f"{config.file}: names is {str(found)[:80]}; it must be a list of names, or a mapping from indices 0, 1, "
            "... to names"
        )
    if count is not None and count != str(len(found)):
        raise ValueError(f"{config.file}: nc is {count}, and there are {len(found)} names; correct one of them")
    return {int(index): name for index, name in sorted(found.items(), key=lambda item: int(item[0]))}


def _config(root: Path) -> Path | None:
    """The YAML file of a folder that names classes."""
    files = [file for file in sorted(root.glob("*.y*ml")) if not is_leftover(Path(file.name)) and _is_config(file)]
    preferred = [root / name for name in CONFIGS if root / name in files]
    return preferred[0] if preferred else files[0] if len(files) == 1 else None


def _is_config(file: Path) -> bool:
    return file.suffix in (".yaml", ".yml") and re.search(r"^names\s*:", beginning(file), re.MULTILINE) is not None
