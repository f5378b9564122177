"""Export of results: one module a format. Images are written one at a time."""

from model_store.exporting.exports import (
    COMBINED,
    EXPORTS,
    README,
    Download,
    ExportSummary,
    archive,
    combined,
    download,
    write,
)
from model_store.exporting.results import ExportImage, ExportSegment
from model_store.exporting.writer import ExportOptions

__all__ = [
    "COMBINED",
    "EXPORTS",
    "README",
    "Download",
    "ExportImage",
    "ExportOptions",
    "ExportSegment",
    "ExportSummary",
    "archive",
    "combined",
    "download",
    "write",
]
