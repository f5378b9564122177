"""Where COCO's annotation files are stored, and which split each of them is."""

import re
from pathlib import Path

from model_store.labelled.documents import beginning
from model_store.labelled.splits import WHOLE, is_usual, meaning
from model_store.labelled.survey import is_leftover

KINDS = ("instances", "panoptic", "stuff", "annotations")  # first parts of file names, the preferred kinds first
_UNUSED = ("captions", "person_keypoints", "image_info", "labels_default", "image_labels")  # other tasks of COCO
_WHOLE_NAMES = (
    "annotations", "_annotations.coco", "annotations.coco", "coco", "coco_annotations", "default", "dataset",
    "instances", "labels", "panoptic", "result",
)  # fmt: skip
_ANNOTATION_FOLDERS = ("annotations", "annotation", "labels", "ann", "json")
_MOST_FILES = 50  # of one folder that are looked into
_HEAD = 1 << 16  # bytes of a file that are looked at
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|[{}\[\]]', re.DOTALL)


def annotation_files(root: Path) -> dict[str, Path]:
    """COCO's annotation files by their split; WHOLE for the only file of data without splits.

    Args:
        root: an annotation file; or a folder with the files in annotations/, in one folder for each split as Roboflow
            stores them, or in the folder itself.
    """
    if root.is_file():
        return {WHOLE: root} if is_annotation_file(root) else {}
    found = _by_split(_annotation_files(root / "annotations"))
    if not found:
        folders = sorted(entry for entry in root.glob("*") if entry.is_dir() and not is_leftover(Path(entry.name)))
        inner = {folder.name: _by_split(_annotation_files(folder)) for folder in folders if _is_coco_folder(folder)}
        found = {name: next(iter(files.values())) for name, files in inner.items() if len(files) == 1}
        if len(found) == 1 and not any(map(is_usual, found)):
            found = {WHOLE: next(iter(found.values()))}
    return found or _by_split(_annotation_files(root))


def is_annotation_file(file: Path) -> bool:
    """Whether a file is in COCO's format, judged by the members of its outermost object that its beginning shows."""
    text = beginning(file, _HEAD)
    members = _members(text)
    lists = {name for name, follows in members.items() if follows == "["}
    if text and file.stat().st_size <= _HEAD:
        return lists >= {"images", "annotations", "categories"}
    return bool(lists & {"images", "annotations", "categories"}) and not lists & {"shapes", "items", "tasks"}


def rivals(file: Path) -> list[Path]:
    """Annotation files of other kinds in the same folder that describe the same split."""
    if not file.stem.startswith(KINDS):
        return []
    others = [other for other in file.parent.glob("*.json") if other != file and other.stem.startswith(KINDS)]
    return sorted(other for other in others if _split_of(other) == _split_of(file))


def data_folder(root: Path) -> Path:
    """The folder of the data set that `root`, a folder or an annotation file, belongs to."""
    if root.is_dir():
        return root
    return root.parent.parent if root.parent.name in _ANNOTATION_FOLDERS else root.parent


def image_folders(root: Path, file: Path, split: str) -> list[Path]:
    """The folders that may hold the images of an annotation file, the most specific ones first."""
    apart = file.parent.name in _ANNOTATION_FOLDERS
    beside = [] if apart else [file.parent / "images", file.parent / "data", file.parent]
    names = [split] if split else []
    names += [name for name in (meaning(split), f"{meaning(split)}2017", f"{meaning(split)}2014") if split]
    own = [folder for name in names for folder in (root / name, root / "images" / name)]
    shared = [root / "images" / "default", root / "images", root / "data", root]
    if beside and file.parent != root:
        return [folder for folder in dict.fromkeys([*beside, *own, *shared]) if folder.is_dir()]
    return [folder for folder in dict.fromkeys([*own, *shared]) if folder.is_dir()]


def is_of_another_split(file: Path, folder: Path, split: str) -> bool:
    """Whether an image lies below `folder` in the folder of another usual split than `split`, if that is a usual one.

    Images of several splits may have one name, and each has other labels.
    """
    names = file.relative_to(folder).parts[:-1]
    return is_usual(split) and any(is_usual(name) and meaning(name) != meaning(split) for name in names)


def _annotation_files(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.glob("*.json") if not is_leftover(Path(file.name)))
    named = [file for file in files if file.stem.startswith(KINDS) or file.stem in _WHOLE_NAMES]
    others = [file for file in files if file not in named and not file.stem.startswith(_UNUSED)]
    return [file for file in (*named, *others)[:_MOST_FILES] if is_annotation_file(file)]


def _is_coco_folder(folder: Path) -> bool:
    """Whether a folder may be a split with an annotation file beside its images."""
    return any((folder / f"{name}.json").is_file() for name in _WHOLE_NAMES)


def _by_split(files: list[Path]) -> dict[str, Path]:
    """Files of the preferred kind among those that are present, by their split."""
    kinds = [kind for kind in KINDS if any(file.stem.startswith(kind) for file in files)]
    if kinds:
        files = [file for file in files if file.stem.startswith(kinds[0])]
    if len(files) == 1:
        name = _split_of(files[0])
        return {name if is_usual(name) else WHOLE: files[0]}
    return {_split_of(file): file for file in files}


def _split_of(file: Path) -> str:
    stem = file.stem
    for kind in KINDS:
        stem = re.sub(f"^{kind}[-_]", "", stem)
    return re.sub(r"[-_](instances|annotations|coco)$", "", stem)


def _members(text: str) -> dict[str, str]:
    """The members of the outermost object of a JSON text, with the character that each value begins with."""
    found: dict[str, str] = {}
    if not text.lstrip().startswith("{"):
        return found
    depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "{[":
            depth += 1
        elif token[0] in "}]":
            depth -= 1
        elif depth == 1:
            value = re.match(r"\s*:\s*(\S)", text[token.end() : token.end() + 64])
            if value:
                found[token[1]] = value[1]
    return found
