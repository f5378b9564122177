"""Routes of classes: list classes, create a class, change a name or a colour."""

from fastapi import APIRouter, Response
from pydantic import Field

from service.answering.release_view import ReleaseView, class_json
from service.editing.class_names import ClassRef
from service.http import wire
from service.http.budgeted import Budgeted
from service.problems import Problem
from service.routes.dependencies import (
    LARGEST,
    Body,
    Color,
    Curator,
    Edits,
    Reader,
    Reason,
    Service,
    author,
    edited,
    json,
)
from service.routes.documented import Responses

router = APIRouter(route_class=Budgeted, prefix="/classes", tags=["classes"])

_CHANGED: Responses = {
    200: {
        "model": wire.ClassChanged,
        "description": "The class was changed. `edit` is null if it had this name and colour already.",
    }
}


class ClassBody(Body):
    """A new class, or, with a class_id, the changes to an existing class."""

    class_id: int | None = Field(None, ge=0, le=LARGEST, description="The class to change; null: create one.")
    name: str | None = Field(None, description="Its name, 1 to 60 characters.", examples=["kerb"])
    color: Color = None
    reason: Reason = None


@router.get("", operation_id="list_classes", summary="List classes", response_model=list[wire.OfferedClass])
def list_classes(caller: Reader, engine: Service) -> Response:
    """List the classes that segments may take, each with the number of its exemplars."""
    view = ReleaseView.current(engine.served.live)
    counts, of_one_image = view.state.counts_per_class.tolist(), view.state.counts_of_one_image.tolist()
    released = len(engine.served.release.card.classes)
    return json(
        [
            wire.OfferedClass(
                **class_json(state.info),
                exemplars=counts[state.info.class_id],
                for_one_image=of_one_image[state.info.class_id],
                origin="release" if state.info.class_id < released else "edit",
            )
            for state in view.classes
            if not state.retired
        ]
    )


@router.post(
    "", status_code=201, operation_id="save_class", summary="Create or change a class",
    response_model=wire.ClassChanged, responses=_CHANGED,
    response_description="The class was created.",
)  # fmt: skip
def save_class(body: ClassBody, caller: Curator, engine: Service, curation: Edits) -> Response:
    """Create a class, or, with a class_id, change its name or colour."""
    by = author(caller, body.reason)
    if body.class_id is None:
        if body.name is None:
            raise Problem(
                422, "A new class needs a name.", received={"name": None, "class_id": None},
                allowed="name, or the class_id of a class to change", fix="Give a name.",
            )  # fmt: skip
        ref = ClassRef(name=body.name, color=body.color)
        edit = curation.make_class(by, str(ref.name), ref.color)
        return edited(engine, edit, 201, **{"class": class_json(edit.class_after)})
    if body.name is None and body.color is None:
        raise Problem(
            422, "The request changes neither the name nor the colour of the class.",
            received={"class_id": body.class_id}, allowed="name, color",
            fix="Give the new name, the new colour, or both.",
        )  # fmt: skip
    changed = curation.change_class(by, body.class_id, body.name, body.color)
    info = curation.served.live.log.class_states()[body.class_id].info
    return edited(engine, changed, 200, **{"class": class_json(info)})
