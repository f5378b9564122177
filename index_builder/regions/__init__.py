"""Sources of regions without class labels: partitions of an image that unsupervised training uses as segments."""

from pathlib import Path

from index_builder.regions.region_maps import FolderRegions, map_file, write_map
from index_builder.regions.sources import Regions

__all__ = ["SOURCES", "Regions", "map_file", "open_regions", "write_map"]

SOURCES = ("felzenszwalb", "slic-merge", "folder", "contours")


def open_regions(name: str, *, folder: Path | None = None, contours: Path | None = None) -> Regions:
    """Open a source of regions by name, with its default values.

    Args:
        name: "felzenszwalb", "slic-merge", "folder" or "contours".
        folder: folder of region maps, for "folder".
        contours: ONNX file of a contour network, for "contours"; `segsort regions train-contours` writes it.

    Raises:
        ValueError: if the name is unknown, or the folder or network that the source needs is missing.
    """
    from index_builder.regions.contours import ContourRegions
    from index_builder.regions.superpixels import Felzenszwalb, SlicMerge

    if name == "felzenszwalb":
        return Felzenszwalb()
    if name == "slic-merge":
        return SlicMerge()
    if name == "folder":
        if folder is None:
            raise ValueError("regions 'folder' need the folder of the region maps; give region_maps in the recipe")
        return FolderRegions(folder)
    if name == "contours":
        if contours is None:
            raise ValueError(
                "regions 'contours' need a contour network; give the contours.onnx that `segsort regions "
                "train-contours` writes"
            )
        return ContourRegions(contours)
    raise ValueError(f"regions {name!r} are not known; choose {', '.join(SOURCES[:-1])} or {SOURCES[-1]}")
