"""The classes: which are offered, making one, giving one another name or colour."""

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import Field

from service.answering.release_view import ReleaseView, class_json
from service.editing.class_names import ClassRef
from service.problems import Problem
from service.routes.dependencies import LARGEST, Body, Curator, Edits, Reader, Service, author, edited, json

router = APIRouter(prefix="/classes", tags=["classes"])


class ClassBody(Body):
    """Body of POST /classes: with a class_id, what to change of it; without one, a new class."""

    class_id: Annotated[int, Field(ge=0, le=LARGEST)] | None = None
    name: str | None = None
    color: str | None = None
    reason: str | None = None


@router.get("")
def classes(caller: Reader, engine: Service) -> Response:
    """The classes that are offered, with the number of their exemplars."""
    view = ReleaseView.current(engine.served.live)
    counts = view.state.counts_per_class.tolist()
    released = len(engine.served.release.card.classes)
    told: list[dict[str, Any]] = []
    for info in (state.info for state in view.classes if not state.retired):
        origin = "release" if info.class_id < released else "edit"
        told.append(class_json(info) | {"exemplars": counts[info.class_id], "origin": origin})
    return json(told)


@router.post("", status_code=201)
def make_or_change(body: ClassBody, caller: Curator, engine: Service, curation: Edits) -> Response:
    """Make a class, or, with a class_id, give it another name or colour."""
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
            422, "Nothing of the class is to change.", received={"class_id": body.class_id}, allowed="name, color",
            fix="Give the new name, the new colour, or both.",
        )  # fmt: skip
    changed = curation.change_class(by, body.class_id, body.name, body.color)
    told = curation.served.live.log.class_states()[body.class_id].info
    return edited(engine, changed, 200, **{"class": class_json(told)})
