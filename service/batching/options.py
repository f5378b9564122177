"""What a job of images is asked for."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from service.problems import DamageError

NameRule = Literal["file", "path"]


@dataclass(frozen=True)
class JobOptions:
    """What is asked.

    format: of the export; join, polygons: see `model_store.exporting.ExportOptions`; single: one file in place of an
    archive; images: image files are part of the export; keep: answers are recorded, so that they can be explained;
    names: names of images in the export are those of files, or paths with "_" in place of "/"; segments, k: see
    `service.answering.limits.SegmentRequest`; form: the images were parts of a form, not a ZIP archive.
    """

    format: str = "coco"
    join: bool = False
    polygons: bool | None = None
    single: bool = False
    images: bool = False
    keep: bool = True
    names: NameRule = "file"
    segments: int | None = None
    k: int | None = None
    form: bool = False

    def name_of(self, name: str) -> str:
        """The name in the export of an image of this name."""
        return name.replace("\\", "/").strip("/").replace("/", "_") if self.names == "path" else name

    def write(self, file: Path) -> None:
        """Store the options."""
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> "JobOptions":
        """Stored options.

        Raises:
            DamageError: if they are not there or damaged.
        """
        try:
            return cls(**json.loads(file.read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise DamageError(None, str(file), f"the options of the job cannot be read: {error}") from error
