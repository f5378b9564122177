"""Routes of the releases in the store."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from model_store.card import Card
from model_store.release import ReleaseError, read_card
from model_store.store import StoredRelease
from service.answering.activation import Activation
from service.answering.rounding import rounded_json
from service.http import wire
from service.problems import Problem
from service.records.tables import iso
from service.routes.dependencies import Curator, Reader, Service, json
from service.routes.documented import ReleaseName

router = APIRouter(prefix="/releases", tags=["releases"])


@router.get("", operation_id="list_releases", summary="List releases", response_model=list[wire.ReleaseSummary])
def list_releases(caller: Reader, engine: Service) -> Response:
    """List the releases in the store; the active one is served."""
    return json([_summary(stored, engine.served.name) for stored in engine.catalogue.store.list()])


@router.get(
    "/{name}", operation_id="get_release", summary="Read the card of a release", response_model=wire.ReleaseCard
)
def get_release(name: ReleaseName, caller: Reader, engine: Service) -> Response:
    """Read the card of a release: how it was made, how it was measured, and its licence."""
    served = engine.served
    if name == served.name:
        return json(_card(served.release.card))
    stored = {stored.name: stored for stored in engine.catalogue.store.list()}
    if name not in stored:
        raise Problem(
            404, "There is no such release.", received=name, allowed=sorted({*stored, served.name}),
            fix="Use one of the names in `allowed`.",
        )  # fmt: skip
    try:
        return json(_card(read_card(stored[name].path)))
    except ReleaseError as error:
        raise Problem(
            409, "The card of this release cannot be read.", received=str(error)[:300],
            fix="Restore the release as it was built.",
        ) from error  # fmt: skip


@router.post(
    "/{name}/activate",
    operation_id="activate_release",
    summary="Serve another release",
    response_model=wire.ActivatedRelease,
)
def activate_release(name: ReleaseName, request: Request, caller: Curator) -> Response:
    """Serve another release without a restart.

    Running requests finish with the release that they began with, and earlier explanations stay valid. With several
    processes, send this to each of them. `after_restart` names the release that a restart would serve.
    """
    activation: Activation = request.app.state.activation
    return json(activation.activate(name, caller.name))


def _summary(stored: StoredRelease, active: str) -> wire.ReleaseSummary:
    card = None if stored.problem is not None else read_card(stored.path)
    return wire.ReleaseSummary(
        name=stored.name,
        active=stored.name == active,
        created=None if card is None else _time(card.created),
        description=None if card is None else card.description,
        problem=stored.problem,
        bundled=stored.bundled,
        classes=None if card is None else len(card.classes) - len(card.retired),
        exemplars=None if card is None else _exemplar_count(card),
        network=None if card is None else card.network,
        metrics=None if card is None else rounded_json(card.metrics),
        licence=None if card is None else _licence(card),
    )


def _card(card: Card) -> wire.ReleaseCard:
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
