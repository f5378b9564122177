"""Data sets of labelled images, one module a format. All of them return the same `Sample`."""

from pathlib import Path

from index_builder.datasets.samples import (
    IGNORE,
    Dataset,
    Images,
    Photograph,
    Sample,
    licence_of,
    open_image,
    origin_of,
    read_upright,
)
from index_builder.subsets import evenly_spread

__all__ = [
    "IGNORE",
    "Dataset",
    "Images",
    "Photograph",
    "Sample",
    "licence_of",
    "named_dataset",
    "open_dataset",
    "open_image",
    "open_images",
    "origin_of",
    "read_upright",
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
    from index_builder.datasets.image_folder import ImageFolder

    data = ImageFolder(_required(root, name), split)
    data.images = _limited(data.images, count)
    return data


def open_dataset(name: str, root: Path | None, split: str, *, count: int | None = None) -> Dataset:
    """Open a data set by name.

    Args:
        name: "camvid", "folder" or "streets".
        root: folder of the data; not needed for "streets", which is painted.
        split: part of the data set. Each data set defines its own.
        count: maximum number of images, evenly spread; of "streets", how many are painted (default 400).

    Raises:
        ValueError: if the name is unknown, the root is missing, the count is below 1, or the data do not follow the
            format.
    """
    from index_builder.datasets.camvid import CamVid
    from index_builder.datasets.labelled_folder import Folder
    from index_builder.datasets.streets import Streets

    if name == "streets":
        return Streets(split, count=count if count is not None else DEFAULT_STREETS)
    if name not in ("camvid", "folder"):
        raise ValueError(f"data set {name!r} is not known; choose camvid, folder or streets")
    root = _required(root, name)
    if count is not None and count < 1:
        raise ValueError(f"count={count} must be at least 1; leave it out to use every image")
    data = CamVid(root, split) if name == "camvid" else Folder(root, split)
    data.images = _limited(data.images, count)
    return data


def named_dataset(data: Path | None, dataset: str | None, root: Path | None) -> tuple[str, Path | None]:
    """The name and folder of a data set on a command line: either a folder alone, or a name and perhaps a folder.

    Args:
        data: folder of labelled images. Its format is detected: "camvid" if masks are in SPLITannot, else "folder".
        dataset: name of the data set.
        root: folder that goes with a name.

    Raises:
        ValueError: if neither or both ways are used.
    """
    if (data is None) == (dataset is None) or (data is not None and root is not None):
        raise ValueError("give either a folder of labelled images, or --dataset with --root")
    if data is None or dataset is not None:
        return str(dataset), root
    if not data.is_dir():
        raise ValueError(f"{data} is not a folder; give the folder of labelled images")
    return ("camvid" if any(data.glob("*annot")) else "folder"), data


def _required(root: Path | None, name: str) -> Path:
    if root is None:
        raise ValueError(f"data set {name!r} needs the folder of its files; give it with --root")
    return root


def _limited(files: list[Path], count: int | None) -> list[Path]:
    return files if count is None else [files[i] for i in evenly_spread(len(files), count)]
