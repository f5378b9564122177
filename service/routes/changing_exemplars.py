"""Routes that give exemplars other classes, and that preview an edit of exemplars."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from service.answering.release_view import class_json
from service.editing.class_changes import ClassChange
from service.editing.class_names import ClassRef
from service.editing.exemplar_preview import preview_of
from service.explaining.exemplar_detail import exemplar_json
from service.http import wire
from service.http.budgeted import Budgeted
from service.routes.dependencies import (
    LARGEST,
    Body,
    Color,
    Curator,
    Edits,
    Reason,
    Service,
    author,
    edited,
    json,
)
from service.routes.documented import unchanged

router = APIRouter(route_class=Budgeted, prefix="/exemplars", tags=["exemplars"])

_MOST = 10_000  # exemplars of one edit
_Id = Annotated[str, Field(description="Id of an exemplar.", examples=["e5" * 8])]


class NewLabel(Body):
    """An exemplar and its new class, by name or by id."""

    exemplar_id: _Id
    class_name: Annotated[str | None, Field(description="Name of the class; a new name creates a class.")] = None
    class_id: Annotated[int | None, Field(ge=0, le=LARGEST, description="Id of the class, instead of a name.")] = None
    color: Color = None

    @property
    def change(self) -> ClassChange:
        """The change that is asked for."""
        return ClassChange(self.exemplar_id, ClassRef(self.class_name, self.class_id, self.color))


class NewLabels(Body):
    """Exemplars that get other classes."""

    labels: Annotated[
        list[NewLabel], Field(min_length=1, max_length=_MOST, description="The exemplars and their new classes.")
    ]
    reason: Reason = None


class Change(Body):
    """An edit of exemplars that is not made."""

    remove: Annotated[list[_Id], Field(default_factory=list, max_length=_MOST, description="Exemplars to remove.")]
    relabel: Annotated[list[NewLabel], Field(default_factory=list, max_length=_MOST, description="To relabel.")]


@router.post(
    "/labels", status_code=201, operation_id="relabel_exemplars", summary="Give exemplars other classes",
    response_model=wire.ExemplarsRelabelled,
    responses=unchanged(wire.ExemplarsRelabelled), response_description="The exemplars have other classes.",
)  # fmt: skip
def relabel_exemplars(body: NewLabels, caller: Curator, engine: Service, curation: Edits) -> Response:
    """Give exemplars other classes in one edit. Reverting it restores the exemplars as they were.

    Each is replaced by an exemplar of the same pixels with another id. `exemplars` are the new ones, in the order of
    `labels`; those that had their class already are left out.
    """
    found = curation.relabel(author(caller, body.reason), [one.change for one in body.labels])
    live = curation.served.live
    rows = [row for row in (live.state.row(one.exemplar_id) for one in found.exemplars) if row is not None]
    written = [{n: v for n, v in exemplar_json(live, row).items() if n != "mask"} for row in rows]
    classes = [] if found.edit is None else [class_json(info) for info in found.edit.new_classes]
    return edited(engine, found.edit, 201, exemplars=written, classes=classes)


@router.post(
    "/preview", operation_id="preview_exemplars", summary="Preview an edit of exemplars",
    response_model=wire.ExemplarPreview,
)  # fmt: skip
def preview_exemplars(
    body: Change,
    caller: Curator,
    engine: Service,
    recent: Annotated[int, Query(ge=1, le=500, description="Number of recent images to compare.")] = 50,
) -> Response:
    """List the segments of recent images that would get another label if exemplars were removed or relabelled.

    Nothing is changed. Of each image its newest answer is compared, with the labels that it would have now.
    """
    changes = [one.change for one in body.relabel]
    return json(preview_of(engine.records, engine.served.live, body.remove, changes, recent, caller.owner))
