"""Limits: what a request may ask for beside the image, and the largest values that the settings allow."""

from dataclasses import dataclass
from typing import Literal

from service.problems import Problem
from service.settings import Settings

MaskFormat = Literal["rle", "polygon", "none"]


@dataclass(frozen=True)
class AnswerOptions:
    """How an answer is written.

    exemplars: number of exemplars listed for each segment; masks: format of the masks.
    """

    exemplars: int = 5
    masks: MaskFormat = "rle"


@dataclass(frozen=True)
class SegmentRequest:
    """What a caller asks for beside the image.

    segments: number of segments that pixel sorting starts with; k: exemplars that vote; None: as the release's card
    says. min_index_revision: the answer must include this edit.
    """

    segments: int | None = None
    k: int | None = None
    exemplars: int = 5
    masks: MaskFormat = "rle"
    min_index_revision: int = 0

    @property
    def options(self) -> AnswerOptions:
        return AnswerOptions(self.exemplars, self.masks)


class Limits:
    """Refuses numbers that the operator does not allow."""

    def __init__(self, settings: Settings) -> None:
        self._ranges = {
            "segments": (1, settings.max_segments),
            "k": (1, settings.max_k),
            "exemplars": (0, settings.max_exemplars),
        }

    def check(self, request: SegmentRequest) -> None:
        """Check every number of a request.

        Raises:
            Problem: 422 naming the number, its value and its range.
        """
        self._check_range("segments", request.segments)
        self._check_range("k", request.k)
        self._check_range("exemplars", request.exemplars)

    def check_segments(self, segments: int | None) -> None:
        """Check the number of segments that pixel sorting starts with; None is allowed.

        Raises:
            Problem: 422.
        """
        self._check_range("segments", segments)

    def check_options(self, options: AnswerOptions) -> None:
        """Check how many exemplars are listed for each segment.

        Raises:
            Problem: 422.
        """
        self._check_range("exemplars", options.exemplars)

    def _check_range(self, name: str, value: int | None) -> None:
        least, most = self._ranges[name]
        if value is not None and not least <= value <= most:
            raise Problem(
                422, f"{name} is out of range.", received=value, allowed=f"{least} to {most}",
                fix=f"Ask for {name} within the range, or let the operator raise SEGSORT_MAX_{name.upper()}.",
            )  # fmt: skip
