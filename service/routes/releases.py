"""The releases of the store."""

from typing import Any

from fastapi import APIRouter, Request, Response

from model_store.card import Card
from model_store.release import ReleaseError, read_card
from model_store.store import StoredRelease
from service.answering.activation import Activation
from service.problems import Problem
from service.routes.dependencies import Curator, Reader, Service, json

router = APIRouter(prefix="/releases", tags=["releases"])


@router.get("")
def releases(caller: Reader, engine: Service) -> Response:
    """The releases there are; active is the one that is served."""
    return json([_told(stored, engine.served.name) for stored in engine.catalogue.store.list()])


@router.get("/{name}")
def release(name: str, caller: Reader, engine: Service) -> Response:
    """The card of a release: how it was made and measured."""
    served = engine.served
    if name == served.name:
        return json(served.release.card.model_dump(mode="json"))
    stored = {stored.name: stored for stored in engine.catalogue.store.list()}
    if name not in stored:
        raise Problem(
            404, "There is no such release.", received=name, allowed=sorted({*stored, served.name}),
            fix="Take the name from GET /releases.",
        )  # fmt: skip
    try:
        return json(read_card(stored[name].path).model_dump(mode="json"))
    except ReleaseError as error:
        raise Problem(
            409, "The card of this release cannot be read.", received=str(error)[:300],
            fix="Put the release back as it was built.",
        ) from error  # fmt: skip


@router.post("/{name}/activate")
def activate(name: str, request: Request, caller: Curator) -> Response:
    """Serve this release from now on. Requests that have begun end with the one before; old explanations stay.

    Each process is told by itself; `after_restart` names the release that a restart would serve.
    """
    activation: Activation = request.app.state.activation
    return json(activation.activate(name, caller.name))


def _told(stored: StoredRelease, active: str) -> dict[str, Any]:
    told = {
        "name": stored.name, "active": stored.name == active, "created": stored.created,
        "description": stored.description, "problem": stored.problem, "bundled": stored.bundled,
    }  # fmt: skip
    if stored.problem is not None:
        return told | {"classes": None, "exemplars": None, "network": None, "metrics": None}
    card = read_card(stored.path)
    return told | {
        "classes": len(card.classes) - len(card.retired),
        "exemplars": _count(card),
        "network": card.network.model_dump(mode="json"),
        "metrics": card.metrics,
    }


def _count(card: Card) -> int | None:
    """Exemplars, as the card of a built release or of a snapshot says; None: it does not."""
    for part in ("edited", "exemplars"):
        data = card.data.get(part)
        if isinstance(data, dict) and isinstance(data.get("exemplars"), int):
            return int(data["exemplars"])
    return None
