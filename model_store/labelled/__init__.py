"""Labelled images in files: one module a format. All of them give the same `Sample`."""

from importlib import import_module
from pathlib import Path

from model_store.labelled.base import LabelledFiles, MaskedImages, Region, ShapedImages
from model_store.labelled.camvid import CLASSES as CAMVID_CLASSES
from model_store.labelled.geotransform import MapPlace, map_place
from model_store.labelled.holding_out import HeldOut, group_of, hold_out
from model_store.labelled.image_folder import ImageFolder
from model_store.labelled.mapping import MappedClasses, read_mapping
from model_store.labelled.palette import Colour, class_palette
from model_store.labelled.polygons import fill_rings
from model_store.labelled.samples import IGNORE, Dataset, Images, Photograph, Sample, licence_of, origin_of
from model_store.labelled.survey import Survey, image_files

__all__ = [
    "CAMVID_CLASSES",
    "FORMATS",
    "IGNORE",
    "Colour",
    "Dataset",
    "HeldOut",
    "ImageFolder",
    "Images",
    "LabelledFiles",
    "MapPlace",
    "MappedClasses",
    "MaskedImages",
    "Photograph",
    "Region",
    "Sample",
    "ShapedImages",
    "Survey",
    "class_palette",
    "detect",
    "fill_rings",
    "group_of",
    "hold_out",
    "image_files",
    "licence_of",
    "map_place",
    "open_format",
    "origin_of",
    "read_mapping",
]

_READERS = {
    "folder": "folder:Folder",
    "camvid": "camvid:CamVid",
    "cityscapes": "cityscapes:Cityscapes",
    "voc": "voc:Voc",
    "ade20k": "ade20k:Ade20k",
    "coco": "coco:Coco",
    "yolo": "yolo:Yolo",
    "labelme": "labelme:LabelMe",
    "cvat": "cvat:Cvat",
    "label-studio": "label_studio:LabelStudio",
    "supervisely": "supervisely:Supervisely",
    "geojson": "geojson:GeoJson",
    "pairs": "pairs:Pairs",
}  # in the order in which they are tried
FORMATS = tuple(_READERS)


def open_format(root: Path, name: str, split: str) -> LabelledFiles:
    """Open labelled images.

    Args:
        root: folder or file of the data.
        name: one of FORMATS.
        split: part of the data. A format without splits takes any.

    Raises:
        ValueError: if the data do not follow the format.
    """
    return _reader(name)(root, split)


def detect(root: Path) -> str:
    """The format of labelled images.

    Args:
        root: folder or file of the data.

    Raises:
        ValueError: if it is none of FORMATS.
    """
    for name in FORMATS:
        if _reader(name).found(root):
            return name
    raise ValueError(
        f"{root} has labelled images in no format that is known ({', '.join(FORMATS)}); name the format with --format, "
        "or store images/, masks/ and classes.json"
    )


def _reader(name: str) -> type[LabelledFiles]:
    module, _, reader = _READERS[name].partition(":")
    found: type[LabelledFiles] = getattr(import_module(f"model_store.labelled.{module}"), reader)
    return found
