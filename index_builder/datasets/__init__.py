"""Data sets by name, or by the format that is found in a folder. `model_store.labelled` reads the formats."""

from pathlib import Path

from index_builder.subsets import evenly_spread
from model_store.labelled import (
    FORMATS,
    IGNORE,
    Dataset,
    ImageFolder,
    Images,
    MappedClasses,
    Photograph,
    Sample,
    Survey,
    detect,
    licence_of,
    open_format,
    origin_of,
    read_mapping,
)

__all__ = [
    "IGNORE",
    "Dataset",
    "Images",
    "Photograph",
    "Sample",
    "Survey",
    "licence_of",
    "named_dataset",
    "open_dataset",
    "open_images",
    "origin_of",
    "with_classes",
]

DEFAULT_STREETS = 400  # images that `streets` paints when no count is given


def open_images(name: str, root: Path | None, split: str, *, count: int | None = None) -> Images:
    """Open images without their labels, for unsupervised training.

    Args:
        name: a data set as in `open_dataset`, or "images": a folder of image files.
        root: folder of the data; not needed for "streets".
        split: part of the data set.
        count: maximum number of images, evenly spread.

    Raises:
        ValueError: if `open_dataset` raises it, or the folder of "images" is not given or has no image.
    """
    if name != "images":
        return open_dataset(name, root, split, count=count)
    images = ImageFolder(_required(root, name), split)
    if count is not None:
        images.keep(evenly_spread(len(images), count))
    return images


def open_dataset(name: str, root: Path | None, split: str, *, count: int | None = None) -> Dataset:
    """Open a data set by name.

    Args:
        name: "streets", a format of `model_store.labelled` such as "folder", "coco" or "camvid", or "auto", which
            detects the format.
        root: folder or file of the data; not needed for "streets", which is painted.
        split: part of the data set. Each format defines its own.
        count: maximum number of images, evenly spread; of "streets", how many are painted (default 400).

    Raises:
        ValueError: if the name is unknown, the root is missing, the count is below 1, or the data do not follow the
            format.
    """
    from index_builder.datasets.streets import Streets

    if name == "streets":
        return Streets(split, count=count if count is not None else DEFAULT_STREETS)
    if name not in ("auto", *FORMATS):
        raise ValueError(f"data set {name!r} is not known; choose streets, auto or one of {', '.join(FORMATS)}")
    root = _required(root, name)
    if count is not None and count < 1:
        raise ValueError(f"count={count} must be at least 1; leave it out to use every image")
    data = open_format(root, detect(root) if name == "auto" else name, split)
    if count is not None:
        data.keep(evenly_spread(len(data), count))
        data.survey.use(data.image_file(i) for i in range(len(data)))
    return data


def named_dataset(
    data: Path | None, dataset: str | None, root: Path | None, format_: str = "auto"
) -> tuple[str, Path | None]:
    """The name and folder of a data set on a command line: either a folder alone, or a name and perhaps a folder.

    Args:
        data: folder or file of labelled images.
        dataset: name of the data set.
        root: folder that goes with a name.
        format_: format of `data`; "auto": it is detected.

    Raises:
        ValueError: if neither or both ways are used, or the format is not known.
    """
    if (data is None) == (dataset is None) or (data is not None and root is not None):
        raise ValueError("give either a folder of labelled images, or --dataset with --root")
    if data is None or dataset is not None:
        return str(dataset), root
    if not data.exists():
        raise ValueError(f"{data} does not exist; give the folder of labelled images")
    if format_ not in ("auto", *FORMATS):
        raise ValueError(f"format {format_!r} is not known; choose auto or one of {', '.join(FORMATS)}")
    return detect(data) if format_ == "auto" else format_, data


def with_classes(data: Dataset, mapping: Path | None) -> Dataset:
    """A data set whose classes are renamed, merged or ignored as a file says, see `read_mapping`; None: as they are."""
    return data if mapping is None else MappedClasses(data, read_mapping(mapping))


def _required(root: Path | None, name: str) -> Path:
    if root is None:
        raise ValueError(f"data set {name!r} needs the folder of its files; give it with --root")
    return root
