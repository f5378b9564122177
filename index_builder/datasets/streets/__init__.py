"""Painted street scenes: labelled images drawn from a seed, with nothing to download and free to publish."""

from index_builder.datasets.streets.dataset import FIRST_SEEDS, Streets, Thing, paint_street

__all__ = ["FIRST_SEEDS", "Streets", "Thing", "paint_street"]
