"""Routes of the log of edits: list edits, compute the effect of one, and revert it."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from service.editing.edit_checks import no_edit
from service.editing.edit_list import edits_json, find_edit, newest_edits
from service.editing.effect import effect_of
from service.http import wire
from service.http.budgeted import Budgeted
from service.routes.dependencies import (
    LARGEST,
    Body,
    Curator,
    Edits,
    Limit,
    Reader,
    Reason,
    Service,
    author,
    edited,
    json,
)

router = APIRouter(route_class=Budgeted, prefix="/edits", tags=["edits"])

Number = Annotated[int, Path(ge=1, le=LARGEST, description="Number of an edit.", examples=[7])]


class Revert(Body):
    """Why an edit is reverted."""

    reason: Reason = None


@router.get("", operation_id="list_edits", summary="List edits", response_model=list[wire.Edit])
def list_edits(
    caller: Reader,
    engine: Service,
    limit: Limit = 50,
    before: Annotated[
        int | None,
        Query(ge=1, le=LARGEST, description="Only edits before this one: the last `revision` of the page before."),
    ] = None,
) -> Response:
    """List the edits of all releases, the newest first."""
    with engine.records.engine.connect() as connection:
        return json(edits_json(connection, newest_edits(connection, limit, before)))


@router.get("/{revision}", operation_id="get_edit", summary="Read an edit", response_model=wire.Edit)
def get_edit(revision: Number, caller: Reader, engine: Service) -> Response:
    """Read one edit."""
    with engine.records.engine.connect() as connection:
        found = find_edit(connection, revision)
        if found is None:
            raise no_edit(revision)
        return json(edits_json(connection, [found])[0])


@router.get(
    "/{revision}/effect",
    operation_id="get_edit_effect",
    summary="Compute the effect of an edit",
    response_model=wire.Effect,
)
def get_edit_effect(
    revision: Number,
    caller: Reader,
    engine: Service,
    recent: Annotated[int, Query(ge=1, le=500, description="Number of recent answers to compare.")] = 50,
) -> Response:
    """List segments of recent answers that would get another label now because of this edit.

    A reader sees answers of its own key, a curator those of all keys.
    """
    with engine.records.engine.connect() as connection:
        found = find_edit(connection, revision)
    if found is None:
        raise no_edit(revision)
    live = engine.catalogue.release_of_edit(found)
    if live.state.revision < revision:
        engine.follower.catch_up()  # another replica has just made this edit
    return json(effect_of(engine.records, live, revision, recent, caller.owner))


@router.post(
    "/{revision}/revert", status_code=201, operation_id="revert_edit", summary="Revert an edit",
    response_model=wire.Edited,
    response_description="The edit was reverted by a new edit.",
)  # fmt: skip
def revert_edit(
    revision: Number, caller: Curator, engine: Service, curation: Edits, body: Revert | None = None
) -> Response:
    """Revert an edit. Reverting a revert restores the edit that it reverted."""
    reason = None if body is None else body.reason
    return edited(engine, curation.revert(author(caller, reason), revision), 201)
