"""The route that adds the labelled images of an archive as exemplars."""

from functools import partial
from typing import Annotated, Any, cast

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import contextmanager_in_threadpool as in_threads
from starlette.concurrency import run_in_threadpool

from model_store.predictor import Sized
from model_store.workers.labelled import LabelledReader
from service.answering.decodings import Decodings
from service.answering.engine import Engine
from service.answering.limits import SegmentRequest
from service.editing.curation import Curation
from service.editing.importing import label_map, opened_archive
from service.editing.new_exemplars import Marks, pieces_of
from service.editing.pieces import Source
from service.http import wire
from service.http.access import Caller
from service.http.budgeted import Budgeted, taken_body
from service.images.decode import decode
from service.problems import Problem
from service.records.image_store import ImageFile
from service.routes.dependencies import Curator, Edits, Service, author, ending_with_caller, json, turn
from service.routes.documented import BINARY, BUSY

router = APIRouter(route_class=Budgeted, tags=["exemplars"])
_BODY = {
    "requestBody": {
        "required": True,
        "description": "A ZIP archive of the folder that a labelling tool exported, with the images.",
        "content": {"application/zip": BINARY},
    }
}


@router.post(
    "/import", status_code=201, operation_id="import_labelled_images", summary="Add the labelled images of an archive",
    response_model=wire.Imported, responses=BUSY, openapi_extra=_BODY,
    response_description="The exemplars were added; one edit for each image.",
)  # fmt: skip
async def import_labelled_images(
    request: Request,
    caller: Curator,
    engine: Service,
    curation: Edits,
    format: Annotated[
        str, Query(description="Format of the labels, such as coco, voc or cvat. By default, the one that is found.")
    ] = "auto",
    split: Annotated[str, Query(description="Part of the data, where they have parts.")] = "train",
    segments: Annotated[
        int | None,
        Query(description="Number of segments that pixel sorting starts with. By default, that of the release."),
    ] = None,
) -> Response:
    """Add the labelled parts of all images of an archive as exemplars, like POST /exemplars for each image.

    Classes are matched by name; new names create classes. An image that cannot be used is listed in `skipped` with the
    reason, and the others are added. Sending an archive again adds nothing.
    """
    content = taken_body(request)
    decodings = cast(Decodings, request.app.state.decodings)
    settings, limits = engine.settings, decodings.pool.limits
    archive = opened_archive(content, settings.data_dir, settings.max_bytes, format, split, limits)
    async with ending_with_caller(request), in_threads(archive) as data:
        added, skipped = [], [wire.SkippedFile(name=name, reason=why) for name, why in data.skipped.items()]
        for i, image in enumerate(data.images):
            name = image.relative_to(data.folder).as_posix()
            try:
                file = await run_in_threadpool(image.read_bytes)
                measure = partial(engine.measure, file, SegmentRequest(segments=segments))
                ahead = file, partial(decode, file, engine.settings.max_pixels)
                async with turn(request, measure, ahead=ahead):
                    added.append(await run_in_threadpool(_add, engine, curation, caller, data, i, file, name, segments))
            except Problem as problem:
                if problem.status >= 500 and not added:
                    raise  # nothing was added: the database or the queue does not answer
                skipped.append(wire.SkippedFile(name=name, reason=_reason(problem)))
    if not added:
        raise Problem(
            422, "No image of the archive could be used.",
            received=[f"{one.name}: {one.reason}" for one in skipped[:20]], allowed="images with labels",
            fix="See the reasons in `received`.",
        )  # fmt: skip
    body = wire.Imported(
        index_revision=curation.served.live.state.revision, format=data.name, images=added, skipped=skipped,
        notes=data.notes,
    )  # fmt: skip
    return json(body, 201 if any(one.revision is not None for one in added) else 200)


def _add(
    engine: Engine, curation: Curation, caller: Caller, data: LabelledReader, i: int, content: bytes, name: str,
    segments: int | None,
) -> wire.ImportedImage:  # fmt: skip
    pixels = decode(content, engine.settings.max_pixels)
    image = Sized(pixels, (pixels.shape[0], pixels.shape[1]))
    marks = Marks(label_map(data, i, image.size), None)
    marked = pieces_of(engine, curation.served, image, marks, segments)
    reason = f"imported from {data.name}"
    found = curation.add(
        author(caller, reason), Source(ImageFile.of(content, image.size), name[-300:]), marked.pieces, set()
    )
    new = [one for one in found.exemplars if one.exemplar_id not in found.already]
    return wire.ImportedImage(
        name=name,
        revision=None if found.edit is None else found.edit.revision,
        exemplars=len(new),
        already=len(found.already),
    )


def _reason(problem: Problem) -> str:
    received: Any = problem.received
    return f"{problem.detail} {received}" if isinstance(received, str) else problem.detail
