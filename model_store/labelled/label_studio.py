"""The format `label-studio`: exports as JSON and JSON-MIN (https://labelstud.io/guide/export)."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import Field, TypeAdapter

from model_store.images import SUFFIXES
from model_store.labelled.class_lists import listed_classes
from model_store.labelled.documents import Document, beginning, conform, read_json
from model_store.labelled.drawn import Drawing, DrawnImages, files_below, not_used
from model_store.labelled.label_studio_regions import LABELS, Region, labelled_regions, read_region
from model_store.labelled.matching import NamedImages
from model_store.labelled.splits import WHOLE
from model_store.labelled.survey import is_leftover, stem_key

_SIGN = re.compile(
    rf'"({"|".join(LABELS[:-1])}|original_width)"|"format"\s*:\s*"rle"|"annotations"\s*:\s*\[.*"data"\s*:\s*\{{',
    re.DOTALL,
)
_PREFIX = re.compile(r"^[0-9a-f]{8}-")  # of the names of uploaded files


class _Result(Document):
    number: int | str | None = Field(default=None, alias="id")
    value: dict[str, Any] = Field(default_factory=dict)
    original_width: Any = None
    original_height: Any = None
    image_rotation: Any = None
    item_index: Any = None


class _Annotation(Document):
    result: list[_Result] | None = None
    was_cancelled: bool | None = None
    skipped: bool | None = None
    ground_truth: bool | None = None
    created_at: Any = None
    updated_at: Any = None


class _Task(Document):
    data: dict[str, Any]
    annotations: list[_Annotation] | None = None
    completions: list[_Annotation] | None = None  # name of annotations before Label Studio 1.0
    predictions: list[Any] | None = None


_TASKS, _ROWS = TypeAdapter(list[_Task]), TypeAdapter(list[dict[str, Any]])


class Work(NamedTuple):
    """One annotation of a task.

    data: fields of the task; regions: fields of each region; rank: of works on one image, the highest is used.
    """

    data: Mapping[str, Any]
    regions: list[dict[str, Any]]
    rank: tuple[bool, str]


class LabelStudio(DrawnImages):
    """An export as JSON or JSON-MIN, in a folder with the images or above it.

    Brush strokes, polygons, rectangles and ellipses with labels are used, the last two with their rotation; key points,
    bitmasks, and regions on an image that was rotated in Label Studio are not. A region with several labels counts for
    the first. Later regions cover earlier ones, and pixels in no region are unlabelled.

    Of several annotations of an image, one marked as ground truth is used, or else the latest. Cancelled annotations,
    drafts and predictions are not used. The image of a task is the file that `data.image` names, as the path of an
    upload, a local file or a URL; the prefix of uploads may be missing, and characters other than letters, digits, "_",
    "." and "-" may differ. The classes are the labels of usable regions in alphabetical order. There are no splits.

    Raises:
        ValueError: if a file is missing or wrong; the message names it.
    """

    name = "label-studio"

    @classmethod
    def found(cls, root: Path) -> bool:
        return bool(_exports(root))

    def __init__(self, root: Path, split: str) -> None:
        super().__init__(root, split)
        exports = _exports(root)
        if len(exports) != 1:
            raise ValueError(
                f"{root} has {len(exports)} exports of Label Studio {[file.name for file in exports]}; give one JSON "
                "or JSON-MIN, or a folder with one"
            )
        (self.file,) = exports
        images, others = files_below(self.survey.folder, self.survey, ".json")
        for other in others:
            if other != self.file:
                self.survey.skip(other, f"not {self.file.name}")
        works = self._best(_Finder(NamedImages(self.survey.folder, images), images))
        drawings = [self._drawing(image, work) for image, work in works.items()]
        names = sorted({name for drawing in drawings for name, _ in drawing.shapes})
        if not names:
            reasons = [*self.survey.lines(3), *(not_used(n, "shape", reason) for reason, n in self.unused.items())]
            raise ValueError(f"{self.file} has no region that can be used. {'; '.join(reasons)}")
        self.finish(drawings, listed_classes(self.file, names), images={WHOLE: images})

    def _best(self, finder: "_Finder") -> dict[Path, Work]:
        """The annotation of each image that is used."""
        best: dict[Path, Work] = {}
        nameless = shared = 0
        for work in self._works():
            name = _image_name(work.data)
            image = None if name is None else finder.find(name)
            if name is None:
                nameless += 1
            elif image is None:
                self.survey.skip(self.survey.folder / posixpath.basename(name), "named by the export, but missing")
            else:
                shared += image in best
                if image not in best or work.rank > best[image].rank:
                    best[image] = work
        self._note(nameless, "annotation", "the task names no image")
        self._note(shared, "annotation", "another one of the image comes first")
        return best

    def _works(self) -> Iterator[Work]:
        """The annotations of the export that were not cancelled, and an empty one of each task that has none."""
        content = read_json(self.file)
        rows = conform([content] if isinstance(content, dict) else content, _ROWS, self.file)
        if not any("data" in row and ("annotations" in row or "completions" in row) for row in rows):
            yield from map(_row_work, rows)
            return
        cancelled = predictions = 0
        for task in conform(rows, _TASKS, self.file):
            predictions += len(task.predictions or [])
            annotations = task.annotations or task.completions or []
            usable = [entry for entry in annotations if not (entry.was_cancelled or entry.skipped)]
            cancelled += len(annotations) - len(usable)
            for entry in usable:
                regions = [(result.number, _content(result)) for result in entry.result or []]
                when = str(entry.updated_at or entry.created_at or "")
                yield Work(task.data, list(labelled_regions(regions)), (bool(entry.ground_truth), when))
            if not usable:
                yield Work(task.data, [], (False, ""))
        self._note(cancelled, "annotation", "cancelled")
        self._note(predictions, "prediction", "no label of a person")

    def _note(self, count: int, what: str, reason: str) -> None:
        if count:
            self.survey.notes.append(not_used(count, what, reason))

    def _drawing(self, image: Path, work: Work) -> Drawing:
        regions: list[Region] = []
        for i, content in enumerate(work.regions):
            region = read_region(content, f"{self.file}: region {i} of {image.name}")
            if isinstance(region, str):
                self.unused[region] += 1
            else:
                regions.append(region)
        sizes = sorted({region.size for region in regions if region.size is not None})
        if len(sizes) > 1:
            raise ValueError(f"{self.file}: regions of {image.name} are on images of several sizes (H, W): {sizes}")
        shapes = [(region.label, region) for region in regions]
        return Drawing(image, self.file, sizes[0] if sizes else None, shapes)


class _Finder:
    """Images by the names in exports."""

    def __init__(self, named: NamedImages, images: list[Path]) -> None:
        self.named = named
        self.plain: dict[str, list[Path]] = {}
        for image in images:
            self.plain.setdefault(_plain(image.name), []).append(image)

    def find(self, name: str) -> Path | None:
        last = posixpath.basename(name)
        bare = _PREFIX.sub("", last)
        for candidate in (name, bare):
            if (image := self.named.find(candidate)) is not None:
                return image
        alike = self.plain.get(_plain(last)) or self.plain.get(_plain(bare)) or []
        return alike[0] if len(alike) == 1 else None


def _plain(name: str) -> str:
    """A name without the characters that Label Studio changes at an upload."""
    return re.sub(r"[^\w.-]", "", stem_key(name).replace(" ", "_"))


def _exports(root: Path) -> list[Path]:
    """The files of a folder, or the file itself, that are a list of tasks as Label Studio writes it."""
    files = [root] if root.is_file() else sorted(root.glob("*.json"))
    return [file for file in files if not is_leftover(Path(file.name)) and _is_export(file)]


def _is_export(file: Path) -> bool:
    text = beginning(file)
    return file.suffix.lower() == ".json" and bool(re.match(r"\s*\[\s*\{", text) and _SIGN.search(text))


def _content(result: _Result) -> dict[str, Any]:
    """The fields of a region in the form of JSON-MIN."""
    return {
        **result.value,
        "original_width": result.original_width,
        "original_height": result.original_height,
        "image_rotation": result.image_rotation,
        "item_index": result.item_index,
    }


def _row_work(row: dict[str, Any]) -> Work:
    """A row of JSON-MIN: the fields of a task, and for each tag a list of regions."""
    lists = [value for value in row.values() if isinstance(value, list)]
    parts = [(None, part) for value in lists for part in value if isinstance(part, dict)]
    when = str(row.get("updated_at") or row.get("created_at") or "")
    return Work(row, list(labelled_regions(parts)), (False, when))


def _image_name(data: Mapping[str, Any]) -> str | None:
    """The path of the image of a task, without other parts of a URL; None, if it names no image."""
    image = data.get("image")
    if isinstance(image, str) and image:
        return _path(image)
    paths = (_path(text) for text in data.values() if isinstance(text, str))
    return next((path for path in paths if path.lower().endswith(SUFFIXES)), None)


def _path(text: str) -> str:
    """The path in a URL, or in the parameter `d` of a local file."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return text
    if "/local-files" in parts.path and (local := parse_qs(parts.query).get("d")):
        return local[0]
    return unquote(parts.path) if parts.scheme or parts.path.startswith("/data/") else text
