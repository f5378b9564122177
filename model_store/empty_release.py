"""Empty releases: without exemplars and classes, to be taught while they are served."""

from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from model_store.card import Calibration, Card
from model_store.exemplar_table import Exemplars
from model_store.release import FEATURES, HEAD, Release, ReleaseError, write_release

# Between the cosines of segments of one class and of two. With the features `general`, over four street images of the
# painter and four facades: 65 to 80 % of the pairs of one class and image reach it, and 1 to 3 % of the other pairs.
UNTAUGHT_THRESHOLD = 0.5
NOT_CALIBRATED = Calibration(
    calibrated=False,
    confidence_x=[0.0, 1.0],
    confidence_y=[0.0, 1.0],
    known_threshold=UNTAUGHT_THRESHOLD,
    how="not calibrated: there are no labelled images yet",
)


def can_start_another(card: Card) -> bool:
    """Whether an empty release can be made of a release: it has features, and its head has learnt from no image."""
    return card.features is not None and card.head is not None and card.head.kind == "identity"


def write_empty_like(out: Path, origin: Release, *, name: str, description: str = "") -> Release:
    """Write a release without exemplars and classes, with the features and the network of another release.

    Args:
        out: folder of the release; it must not exist.
        origin: for example `general`; see `can_start_another`.
        name: name of the release.
        description: for the card.

    Raises:
        ReleaseError: if `out` exists, or the head of `origin` was fitted to images.
    """
    card, attachments = origin.card, origin.attachments
    if not can_start_another(card) or not {FEATURES, HEAD} <= attachments.keys():
        raise ReleaseError(
            f"release {card.name!r} cannot start an empty one: it has no features, or its head was fitted to images; "
            "use 'general'"
        )
    changes = {
        "name": name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "description": description,
        "classes": [],
        "retired": [],
        "calibration": NOT_CALIBRATED.model_dump(),
        "provenance": {"segsort": version("segsort"), "features": card.features.name if card.features else ""},
        "licence": {"network": card.network_licence(), "exemplars": "none"},
        "data": {},
        "training": {},
        "metrics": {},
    }
    empty = Card.model_validate({**card.model_dump(), **changes})
    nothing: Iterable[tuple[str, bytes]] = ()
    return write_release(
        out, empty, origin.network_path, Exemplars.none(card.network.dimension), [], nothing, attachments
    )
