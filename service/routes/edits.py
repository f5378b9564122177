"""The log of edits: who changed what, what came of it, and taking it back."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from service.editing.curation import no_edit
from service.editing.edit_list import edits_told, find_edit, newest_edits
from service.editing.effect import effect_of
from service.routes.dependencies import LARGEST, Body, Curator, Edits, Limit, Reader, Service, author, edited, json

router = APIRouter(prefix="/edits", tags=["edits"])

Number = Annotated[int, Path(ge=1, le=LARGEST, description="the edit's revision")]


class Revert(Body):
    """Body of POST /edits/{revision}/revert."""

    reason: str | None = None


@router.get("")
def edits(
    caller: Reader,
    engine: Service,
    limit: Limit = 50,
    before: Annotated[int | None, Query(ge=1, le=LARGEST, description="only those before this revision")] = None,
) -> Response:
    """The edits of every release, the newest first."""
    with engine.records.engine.connect() as connection:
        return json(edits_told(connection, newest_edits(connection, limit, before)))


@router.get("/{revision}")
def edit(revision: Number, caller: Reader, engine: Service) -> Response:
    """One edit."""
    with engine.records.engine.connect() as connection:
        found = find_edit(connection, revision)
        if found is None:
            raise no_edit(revision)
        return json(edits_told(connection, [found])[0])


@router.get("/{revision}/effect")
def effect(
    revision: Number,
    caller: Reader,
    engine: Service,
    recent: Annotated[int, Query(ge=1, le=500, description="answers that are looked at")] = 50,
) -> Response:
    """Segments of recent answers that would be called something else now, through this edit."""
    with engine.records.engine.connect() as connection:
        found = find_edit(connection, revision)
    if found is None:
        raise no_edit(revision)
    live = engine.catalogue.find(found.release)
    if live.state.revision < revision:
        engine.follower.catch_up()  # another replica made it, a moment ago
    return json(effect_of(engine.records, live, revision, recent))


@router.post("/{revision}/revert", status_code=201)
def revert(revision: Number, caller: Curator, engine: Service, curation: Edits, body: Revert | None = None) -> Response:
    """Take an edit back, or, where it is a revert, restore what it took back."""
    reason = None if body is None else body.reason
    return edited(engine, curation.revert(author(caller, reason), revision), 201)
