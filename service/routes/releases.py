"""Routes of the releases in the store."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from model_store.empty_release import can_start_another, write_empty_like
from model_store.release import Release, ReleaseError, read_card
from service.adapting.earlier import Carrying
from service.adapting.names import check_free
from service.answering.activation import Activation
from service.answering.engine import Engine
from service.http import wire
from service.http.budgeted import Budgeted
from service.problems import Problem, printable
from service.routes.dependencies import Body, Curator, Reader, Reason, Service, author, json
from service.routes.documented import ReleaseName
from service.routes.jobs import job_started
from service.routes.release_json import card_json, listed_releases, summary_json

router = APIRouter(route_class=Budgeted, prefix="/releases", tags=["releases"])


@router.get("", operation_id="list_releases", summary="List releases", response_model=list[wire.ReleaseSummary])
def list_releases(caller: Reader, engine: Service) -> Response:
    """List the releases in the store, and the served one if it was given by its path; the active one is served."""
    return json([summary_json(one, engine.served.name) for one in listed_releases(engine)])


@router.get(
    "/{name}", operation_id="get_release", summary="Read the card of a release", response_model=wire.ReleaseCard
)
def get_release(name: ReleaseName, caller: Reader, engine: Service) -> Response:
    """Read the card of a release: how it was made, how it was measured, and its licence."""
    served = engine.served
    if name == served.name:
        return json(card_json(served.release.card))
    stored = {stored.name: stored for stored in engine.catalogue.store.list()}
    opened = engine.catalogue.opened(name)
    if name not in stored and opened is not None:
        return json(card_json(opened.release.card))
    if name not in stored:
        raise Problem(
            404, "There is no such release.", received=name, allowed=sorted({*stored, served.name}),
            fix="Use one of the names in `allowed`.",
        )  # fmt: skip
    try:
        return json(card_json(read_card(stored[name].path)))
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


class Carry(Body):
    """Why edits are carried over."""

    reason: Reason = None


@router.post(
    "/{name}/carry", status_code=202, operation_id="carry_edits",
    summary="Carry over edits of earlier releases of a name",
    response_model=wire.Job, response_description="The job was started.",
)  # fmt: skip
def carry_edits(
    name: ReleaseName, request: Request, caller: Curator, engine: Service, body: Carry | None = None
) -> Response:
    """Make the edits of earlier releases of the served release's name on it too, as one edit that can be reverted.

    A job in the background runs the network on the image of each exemplar, about as long as segmenting them takes. Its
    `result` names the edit; cancelled before its last stage, it changes nothing. A second time adds nothing.
    `segsort releases carry` does the same, also without the service. `Location` names the job.
    """
    served = engine.served
    if name != served.name:
        raise Problem(
            409, "Edits are carried over to the served release only.", received=name, allowed=served.name,
            fix=f"Send POST /releases/{name}/activate first, or run `segsort releases carry`.",
        )  # fmt: skip
    carrying: Carrying = request.app.state.carrying
    return job_started(carrying.begin(served.live, author(caller, None if body is None else body.reason)))


class NewRelease(Body):
    """An empty release to make."""

    name: Annotated[
        str,
        Field(
            description="Its name: 1 to 100 letters, digits, dots, dashes and underscores, the first a letter or a "
            "digit.",
            examples=["my-cells"],
        ),
    ]
    features: Annotated[
        str,
        Field(
            description="Release whose features it uses: `general`, or another one with `starts_empty` in "
            "GET /releases.",
            examples=["general"],
        ),
    ] = "general"


@router.post(
    "",
    status_code=201,
    operation_id="make_release",
    summary="Make an empty release",
    response_model=wire.ReleaseSummary,
    response_description="The release was made. It is not served yet.",
)
def make_release(body: NewRelease, caller: Curator, engine: Service) -> Response:
    """Make a release without classes and exemplars, to be taught while it is served.

    POST /releases/{name}/activate serves it. `segsort new` makes one over other features.
    """
    check_free(engine, body.name)
    origin = _start_of(engine, body.features)
    try:
        write_empty_like(
            engine.settings.data_dir / "releases" / body.name, origin, name=body.name,
            description=f"Started empty by {caller.name}, to be taught.",
        )  # fmt: skip
    except ReleaseError as error:  # another request has just made it
        raise Problem(
            422, "The new release cannot have this name.", received=printable(body.name[:200]),
            allowed="a name that no release has", fix="Give another name.",
        ) from error  # fmt: skip
    except OSError as error:
        raise Problem(
            503, "The release could not be written to disk.", received=str(error.strerror)[:200],
            fix="Ask the operator to check SEGSORT_DATA_DIR and the disk.",
        ) from error  # fmt: skip
    (made,) = (one for one in listed_releases(engine) if one.name == body.name)
    return json(summary_json(made, engine.served.name), 201)


def _start_of(engine: Engine, features: str) -> Release:
    """The release whose features an empty one uses.

    Raises:
        Problem: 422 if there is no such release, or its head was fitted to images.
    """
    for one in engine.catalogue.store.list():
        if one.name == features and one.problem is None:
            try:
                release = Release.open(one.path)
                if can_start_another(release.card):
                    return release
            except ReleaseError:  # it is damaged, and so none of those that are allowed
                pass
    allowed = [one.name for one in listed_releases(engine) if one.card is not None and can_start_another(one.card)]
    raise Problem(
        422, "No empty release can be made with these features.", received=printable(features[:200]), allowed=allowed,
        fix="Use one of the names in `allowed`, or run `segsort new` on the machine of the service.",
    )  # fmt: skip
