"""The documents of scores: what a renewed one keeps and replaces."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from benchmarks.street_scores import Fold, renewed
from index_builder.build import BuildOptions
from index_builder.pixel_scores import Curve, PixelScores, PixelTally
from model_store.card import SortingInfo


def tallied(method: str, right: bool, frames: int = 3) -> PixelScores:
    """Frames of two classes, all pixels labelled rightly or all wrongly."""
    labels = np.tile([0, 1], (8, 4)).astype(np.uint8)
    tally = PixelTally(method, 2, Curve([0.0, 1.0], [0.0, 1.0]))
    for _ in range(frames):
        tally.add(labels, labels if right else 1 - labels, np.full((8, 8), 0.9), np.full((8, 8), 0.9))
    return tally.scores()


def kept() -> dict[str, Any]:
    scores = {"drive": [tallied("served", right=False).model_dump(), tallied("probe", right=False).model_dump()]}
    return {"sorting": {"segments": 100}, "scores": scores, "environment": {"commit": "old"}, "seed": 0}


FOLD = cast("Fold", SimpleNamespace(drive="one", options=BuildOptions(sorting=SortingInfo(min_part=8), distinct=0.99)))


def test_a_renewed_method_is_replaced_and_the_others_stay() -> None:
    found = renewed(kept(), FOLD, {"drive": [tallied("served", right=True)]})
    served, probe = (PixelScores.model_validate(one) for one in found["scores"]["drive"])
    assert (served.miou(), probe.miou()) == (1, 0)
    assert found["sorting"]["min_part"] == 8
    assert found["distinct"] == 0.99
    assert found["environment"] == {"commit": "old"}
    assert found["renewed"]["methods"] == ["served"]
    assert found["renewed"]["environment"]["machine"]
    assert found["renewed"]["before"] == {"sorting": {"segments": 100}, "distinct": None}
    again = renewed(found, FOLD, {"drive": [tallied("served", right=False)]})
    assert again["renewed"]["before"] == {"sorting": {"segments": 100}, "distinct": None}, "of the other methods"


def test_other_frames_than_before_are_refused() -> None:
    with pytest.raises(ValueError, match="score this fold as a whole"):
        renewed(kept(), FOLD, {"drive": [tallied("served", right=True, frames=2)]})
