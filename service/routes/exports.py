"""The route that exports answers in the formats of other tools."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from model_store.exporting import ExportOptions, archive, download
from service.answering.exported import export_classes, export_images, release_of_all
from service.problems import Problem
from service.routes.dependencies import Limit, Reader, Service
from service.routes.documented import BINARY, Responses
from service.routes.segmentations import find_answer

router = APIRouter(tags=["segmentations"])
Format = Literal["coco", "png", "color-png", "yolo", "geojson", "label-studio", "cvat", "labelme", "csv"]
_MOST = 1000
_FILES: Responses = {
    200: {
        "description": "Of one answer, the file of its labels, if the format has one; otherwise a ZIP archive.",
        "content": dict.fromkeys(
            ("application/zip", "application/json", "application/geo+json", "text/csv", "application/xml"),
            BINARY,
        ),
    }
}


@router.get(
    "/export", operation_id="export_segmentations", summary="Export answers in the format of another tool",
    response_class=Response, responses=_FILES,
)  # fmt: skip
def export_segmentations(
    caller: Reader,
    engine: Service,
    format: Annotated[Format, Query(description="Format of the export.")] = "coco",
    segmentation_id: Annotated[
        list[str] | None,
        Query(description="Ids of answers, at most 1000. Without them, the newest answers of the active release."),
    ] = None,
    limit: Limit = 50,
    images: Annotated[bool, Query(description="Also export the image files that are still kept.")] = False,
    polygons: Annotated[
        bool | None,
        Query(description="Outlines or masks, in formats that have both. By default, what the format usually has."),
    ] = None,
) -> Response:
    """Export answers: labels, confidences and ids of segments and exemplars, as far as the format can carry them.

    Segments that are unknown, or that no exemplar voted on, have no class in the export. Names of image files are the
    ids of the answers.
    """
    if segmentation_id is not None and len(segmentation_id) > _MOST:
        raise Problem(
            422, "Too many answers are asked for.", received=len(segmentation_id), allowed=f"at most {_MOST}",
            fix="Export them in several requests.",
        )  # fmt: skip
    if segmentation_id is None:
        answers = engine.records.newest(limit, release=engine.served.live.name, light=True)
    else:
        answers = [find_answer(engine, one) for one in dict.fromkeys(segmentation_id)]
    if not answers:
        raise Problem(
            404, "There is no answer to export.", received=segmentation_id or "no segmentation_id",
            allowed="answers of the active release, or ids of answers", fix="Segment an image first: POST /segment.",
        )  # fmt: skip
    live = release_of_all(engine, answers)
    ids = [answered.facts.segmentation_id for answered in answers]
    classes, options = export_classes(live), ExportOptions(polygons=polygons, release=live.name)
    try:
        if len(answers) == 1 and not images:
            found = download(format, next(export_images(engine, ids, False)), classes, options)
            return Response(found.content, media_type=found.media_type, headers=_named(found.name))
        pieces = archive(format, export_images(engine, ids, images), classes, options)
    except ValueError as error:  # for example, a palette holds 256 classes at most
        raise Problem(422, "The format cannot hold this export.", received=format, allowed=str(error)) from error
    return StreamingResponse(pieces, media_type="application/zip", headers=_named(f"segsort-{format}.zip"))


def _named(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
