"""The route that compares two releases on stored images."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import contextmanager_in_threadpool
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from service.adapting.comparing import Compared, Comparisons, miou
from service.answering.engine import Engine
from service.answering.limits import SegmentRequest
from service.answering.links import image_url
from service.http import wire
from service.http.access import Caller
from service.http.budgeted import Budgeted
from service.problems import Problem
from service.routes.dependencies import Body, Reader, Service, json, not_kept, turn
from service.routes.documented import BUSY
from service.routes.segmentations import find_answer

router = APIRouter(route_class=Budgeted, prefix="/releases", tags=["releases"])

MOST_IMAGES = 8  # of one comparison


class CompareBody(Body):
    """Two releases and the answers whose images they label."""

    a: Annotated[str, Field(description="Name of a release.", examples=["streets"])]
    b: Annotated[str, Field(description="Name of another release.", examples=["my-streets"])]
    segmentations: Annotated[
        list[str],
        Field(
            min_length=1,
            max_length=MOST_IMAGES,
            description="Ids of answers whose images are labelled with both.",
            examples=[["3f" * 16]],
        ),
    ]


@router.post(
    "/compare", operation_id="compare_releases", summary="Compare two releases on the same images",
    response_model=wire.Comparison, responses=BUSY,
)  # fmt: skip
async def compare_releases(body: CompareBody, request: Request, caller: Reader, engine: Service) -> Response:
    """Label stored images with two releases, which need not be served, and compare the labels. Nothing is recorded.

    Both answer with all edits that were made on them. `agreement` is the share of the pixels that get the same name, or
    no label, from both. `miou` is measured on marked pixels: those of exemplars that edits added from the same image
    file, in either release. A release that learnt from a mark labels it too kindly, so use cross-validated scores, or
    those on held-out images, to choose a release.
    """
    if body.a == body.b:
        raise Problem(
            422, "A release cannot be compared with itself.", received=[body.a, body.b], allowed="two releases",
            fix="Name another release.",
        )  # fmt: skip
    ids = list(dict.fromkeys(body.segmentations))
    image_ids = await run_in_threadpool(_image_ids, engine, ids, caller)
    comparisons: Comparisons = request.app.state.comparisons
    found: list[Compared] = []
    async with contextmanager_in_threadpool(comparisons.comparing(body.a, body.b)) as comparison:
        for segmentation_id, image_id in zip(ids, image_ids, strict=True):
            file = await run_in_threadpool(engine.records.images.get, image_id)
            if file is None:  # it was removed meanwhile
                raise not_kept(segmentation_id)
            ahead = file.content, partial(comparison.decode, file)
            async with turn(request, partial(engine.measure, file.content, SegmentRequest()), ahead=ahead):
                found.append(await run_in_threadpool(comparison.compare, file))
    return json(await run_in_threadpool(_answer, body, ids, found))


def _image_ids(engine: Engine, ids: list[str], caller: Caller) -> list[str]:
    """The stored images of answers.

    Raises:
        Problem: 404 if there is no such answer, or its image is not kept.
    """
    found = []
    for segmentation_id in ids:
        image_id = find_answer(engine, segmentation_id, caller).facts.image_id
        if image_id is None or not engine.records.images.has(image_id):
            raise not_kept(segmentation_id)
        found.append(image_id)
    return found


def _answer(body: CompareBody, ids: list[str], found: list[Compared]) -> wire.Comparison:
    pixels = sum(one.size[0] * one.size[1] for one in found)
    return wire.Comparison(
        a=body.a,
        b=body.b,
        agreement=round(sum(one.agreeing for one in found) / pixels, 6),
        marked_pixels=sum(one.marked for one in found),
        miou_a=_rounded(miou([one.a for one in found])),
        miou_b=_rounded(miou([one.b for one in found])),
        images=[_image(one, segmentation_id) for one, segmentation_id in zip(found, ids, strict=True)],
    )


def _image(one: Compared, segmentation_id: str) -> wire.ComparedImage:
    height, width = one.size
    return wire.ComparedImage.model_validate(
        {
            "segmentation_id": segmentation_id,
            "image_url": image_url(segmentation_id),
            "width": width,
            "height": height,
            "agreement": round(one.agreeing / (height * width), 6),
            "marked_pixels": one.marked,
            "miou_a": _rounded(miou([one.a])),
            "miou_b": _rounded(miou([one.b])),
            "a": one.a.labels,
            "b": one.b.labels,
        }
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
