"""Painted street scenes: labelled images drawn from a seed, with nothing to download and free to publish.

This module is the only one that the rest of the project imports from. `Streets` is the data set and `paint_street`
paints one scene; the other names serve those who add objects of their own to a scene.
"""

from index_builder.datasets.streets.canvas import WIDTH, Camera, Canvas, Color, Random, pick, quad, shade
from index_builder.datasets.streets.dataset import FIRST_SEEDS, Streets
from index_builder.datasets.streets.painter import StreetObject, paint_street
from index_builder.datasets.streets.scene import Layout

__all__ = [
    "FIRST_SEEDS",
    "WIDTH",
    "Camera",
    "Canvas",
    "Color",
    "Layout",
    "Random",
    "StreetObject",
    "Streets",
    "paint_street",
    "pick",
    "quad",
    "shade",
]
