"""Export of results: one module a format. Images are written one at a time."""

from model_store.exporting.exports import EXPORTS, README, Download, ExportSummary, archive, download, write
from model_store.exporting.results import ExportImage, ExportSegment
from model_store.exporting.writer import ExportOptions

__all__ = [
    "EXPORTS",
    "README",
    "Download",
    "ExportImage",
    "ExportOptions",
    "ExportSegment",
    "ExportSummary",
    "archive",
    "download",
    "write",
]
