"""Releases as they are answered: in a list, and their cards. Cards of all ages have the same form."""

from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection

from model_store.card import Card
from model_store.empty_release import can_start_another
from model_store.release import ReleaseError, read_card, read_digest
from model_store.store import StoredRelease
from service.answering.engine import Engine
from service.answering.rounding import rounded_json
from service.http import wire
from service.records.earlier_edits import earlier_groups, read_carried
from service.records.edit_rows import ReleaseKey, count_edits
from service.records.tables import iso


class ListedRelease(NamedTuple):
    """A release to list: its card, or why it has none; whether it is in the store or bundled; its digest, and its
    number of edits and of those that earlier releases of its name left."""

    name: str
    card: Card | None
    problem: str | None
    stored: bool
    bundled: bool
    digest: str | None = None
    edits: int = 0
    earlier_edits: int = 0


def listed_releases(engine: Engine) -> list[ListedRelease]:
    """The releases of the store, and those outside it that are open: the served one may have been given by its path."""
    stored = [_stored(one) for one in engine.catalogue.store.list()]
    names = {one.name for one in stored}
    live = [one for one in engine.catalogue.all_opened() if one.name not in names]
    live = [one for one in live if engine.catalogue.opened(one.name) is one]  # not an earlier one of its name
    found = [*stored, *(ListedRelease(one.name, one.release.card, None, False, False, one.digest) for one in live)]
    served = engine.served.live
    found = [one._replace(digest=served.digest) if one.name == served.name else one for one in found]
    with engine.records.engine.connect() as connection:
        return [_counted(connection, one) for one in found]


def _counted(connection: Connection, one: ListedRelease) -> ListedRelease:
    """A release with the numbers of its edits."""
    if one.digest is None:
        return one
    key = ReleaseKey(one.name, one.digest)
    earlier = sum(group.edits for group in earlier_groups(connection, key, read_carried(connection, key)))
    return one._replace(edits=count_edits(connection, key), earlier_edits=earlier)


def summary_json(one: ListedRelease, served: str) -> wire.ReleaseSummary:
    """A release in the list. served: name of the served release."""
    card = one.card
    return wire.ReleaseSummary(
        name=one.name,
        digest=one.digest,
        active=one.name == served,
        stored=one.stored,
        created=None if card is None else _time(card.created),
        description=None if card is None else card.description,
        problem=one.problem,
        bundled=one.bundled,
        classes=None if card is None else len(card.classes) - len(card.retired),
        exemplars=None if card is None else _exemplar_count(card),
        network=None if card is None else card.network,
        metrics=None if card is None else rounded_json(card.metrics),
        licence=None if card is None else _licence(card),
        edits=one.edits,
        earlier_edits=one.earlier_edits,
        adaptable=card is not None and card.features is not None,
        starts_empty=card is not None and can_start_another(card),
        parent=None if card is None else _parent(card),
        adapted=None if card is None else _adapted(card),
        built=None if card is None else _built(card),
    )


def _stored(one: StoredRelease) -> ListedRelease:
    if one.problem is not None:
        return ListedRelease(one.name, None, one.problem, True, one.bundled)
    try:
        return ListedRelease(one.name, read_card(one.path), None, True, one.bundled, _digest(one.path))
    except ReleaseError as error:  # it was removed or changed meanwhile
        return ListedRelease(one.name, None, str(error), True, one.bundled)


def _digest(path: Path) -> str | None:
    """The digest of a release; None if its checksums cannot be read."""
    try:
        return read_digest(path)
    except ReleaseError:
        return None


def _parent(card: Card) -> str | None:
    """Name of the release that a release was made of."""
    for part, key in (("adapted", "from"), ("edited", "release")):
        found = card.data.get(part)
        if isinstance(found, dict) and isinstance(found.get(key), str):
            return str(found[key])
    return None


def _adapted(card: Card) -> wire.AdaptedScores | None:
    """The cross-validated scores of an adaptation, as the card has them."""
    found = card.data.get("adapted")
    if not isinstance(found, dict):
        return None
    images = found.get("images")
    return wire.AdaptedScores(
        before=_share(found.get("before")),
        after=_share(found.get("after")),
        images=images if isinstance(images, int) and images >= 0 else None,
    )


def _built(card: Card) -> wire.HeldOutScores | None:
    """The scores on the images that were held out of a build, as the card has them."""
    found = card.data.get("held_out")
    if not isinstance(found, dict) or not isinstance(found.get("images"), int):
        return None
    compared = found.get("compared_with")
    return wire.HeldOutScores(
        images=max(0, found["images"]),
        miou=_share(found.get("miou")),
        compared_with=compared if isinstance(compared, str) else None,
        miou_compared=_share(found.get("miou_compared")),
    )


def _share(value: Any) -> float | None:
    """A number of a card that should be in 0..1; None if it is not."""
    return round(float(value), 6) if isinstance(value, int | float) and 0 <= value <= 1 else None


def card_json(card: Card) -> wire.ReleaseCard:
    """A card as it is answered. Cards of all ages have the same form."""
    answered = {
        "created": _time(card.created),
        "licence": _licence(card),
        "data": rounded_json(card.data),
        "metrics": rounded_json(card.metrics),
    }
    return wire.ReleaseCard.model_validate(card.model_dump() | answered)


def _time(written: str) -> str | None:
    """The time in a card in the form of all answers; None if it is not a time."""
    try:
        return iso(datetime.fromisoformat(written))
    except (ValueError, OverflowError):
        return None


def _licence(card: Card) -> wire.Licence:
    """The licence of a card in today's form: that of the network is under its own key, and every part is text."""
    exemplars, added = (card.licence.get(part) for part in ("exemplars", "added"))
    return wire.Licence(
        network={subject: _text(licence) for subject, licence in card.network_licence().items()},
        exemplars=None if exemplars is None else _text(exemplars),
        added=None if added is None else _text(added),
    )


def _text(licence: Any) -> str:
    """The licence of one part as text."""
    if isinstance(licence, dict):
        return "; ".join(f"{subject}: {_text(one)}" for subject, one in licence.items())
    return str(licence)


def _exemplar_count(card: Card) -> int | None:
    """Number of exemplars of a built release or of a snapshot; None if the card does not contain it."""
    for part in ("edited", "exemplars"):
        data = card.data.get(part)
        if isinstance(data, dict) and isinstance(data.get("exemplars"), int):
            return int(data["exemplars"])
    return None
