"""The route of the audit of exemplars."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from service.auditing.audits import Audits
from service.auditing.entries import Entries
from service.auditing.lists import Filters, Kind, Sort, compute, entries_of
from service.http import wire
from service.http.budgeted import Budgeted
from service.http.document import schema_ref
from service.problems import Problem
from service.routes.dependencies import LARGEST, Limit, Reader, Service, json

router = APIRouter(route_class=Budgeted, prefix="/exemplars", tags=["exemplars"])

_LATE: dict[int | str, dict[str, Any]] = {
    504: {
        "description": "The audit is not finished yet. It goes on.",
        "content": {"application/problem+json": {"schema": schema_ref(wire.Problem)}},
    }
}


@router.get(
    "/audit", operation_id="audit_exemplars", summary="Find exemplars to look at", response_model=wire.Audit,
    responses=_LATE,
)  # fmt: skip
async def audit_exemplars(
    request: Request,
    caller: Reader,
    engine: Service,
    kind: Annotated[
        Kind,
        Query(
            description="contradicted: another class wins the vote on an exemplar when it does not vote itself; "
            "duplicates: groups that look the same to the network; thin: classes with few exemplars or images; "
            "corrections: exemplars that voted for labels that were corrected."
        ),
    ],
    class_id: Annotated[int | None, Query(ge=0, le=LARGEST, description="Only exemplars of this class.")] = None,
    limit: Limit = 50,
    offset: Annotated[int, Query(ge=0, le=LARGEST, description="Number of entries to skip.")] = 0,
    similarity: Annotated[
        float, Query(ge=0.5, le=1, description="For duplicates: smallest cosine of two that look the same.")
    ] = 0.9995,
    sort: Annotated[
        Sort,
        Query(description="doubt: the most doubtful first; class: by class; newest: the most recently added first."),
    ] = "doubt",
) -> Response:
    """List exemplars of the served release that are worth a look, each with the reason; the most doubtful first.

    An exemplar is compared with exemplars of other images, or with all others if there are fewer than three images.
    Exemplars that vote in one image alone are left out. The audit is computed once for each index revision.
    """
    live = engine.served.live
    state = live.state
    audits: Audits = request.app.state.audits
    key = (live.digest, state.revision, kind)
    computing = audits.ask(key, lambda: compute(kind, engine.records, live, state))
    try:
        waiting = asyncio.shield(asyncio.wrap_future(computing))
        computed = await asyncio.wait_for(waiting, engine.settings.deadline_s)
    except TimeoutError as error:
        raise Problem(
            504, "The audit is not finished yet. It goes on.", received=kind,
            allowed=f"{engine.settings.deadline_s:g} seconds", fix="Send it again: it waits for the same audit.",
        ) from error  # fmt: skip

    def written() -> Response:
        entries = entries_of(computed, state, Filters(class_id, similarity, sort))
        writer = Entries(live, state, caller.owner)
        facts = {
            "kind": kind,
            "index_revision": state.revision,
            "compared": len(computed.material.rows),
            "across_images": computed.material.across_images,
            "total": len(entries),
        }
        return json(facts | {"entries": [one.write(writer) for one in entries[offset : offset + limit]]})

    return await run_in_threadpool(written)
