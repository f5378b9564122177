"""The HTTP service. Each route is one step: read the request, let the engine answer, write the response."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from model_store.store import StoredRelease
from service import engine as engines
from service.explain import describe_exemplar, explain, explanation_page
from service.pictures import exemplar_crop, label_map_png, png
from service.problems import Problem, add_problem_handlers
from service.settings import Settings

_PAGE = Path(__file__).parent / "static" / "index.html"


def create_app(settings: Settings, engine: engines.Engine | None = None) -> FastAPI:
    """The service over one engine, made from the settings unless it is given."""
    served = engine if engine is not None else engines.Engine(settings)
    registry = CollectorRegistry()
    latency = Histogram("segsort_stage_seconds", "Time of each stage of POST /segment", ["stage"], registry=registry)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        served.close()

    app = FastAPI(title="segsort", description="Image segmentation that can be argued with.", lifespan=lifespan)
    add_problem_handlers(app)

    @app.post("/segment", openapi_extra=_SEGMENT_BODY)
    async def segment(
        request: Request,
        segments: Annotated[int | None, Query(description="segments that pixel sorting starts with")] = None,
        k: Annotated[int | None, Query(description="exemplars that vote")] = None,
        exemplars: Annotated[int, Query(description="exemplars listed for each segment")] = 5,
        masks: Annotated[engines.Masks, Query(description="form of the masks")] = "rle",
    ) -> Response:
        """Segment an image: labelled segments that tile it, each with its nearest exemplars."""
        content = await _image_of(request, settings.max_bytes)
        asked = engines.Request(segments, k, exemplars, masks)
        answer = await run_in_threadpool(served.segment, content, asked)
        for stage, milliseconds in answer.body["timings_ms"].items():
            latency.labels(stage).observe(milliseconds / 1000)
        if "image/png" in request.headers.get("accept", ""):
            picture = label_map_png(answer.class_map, served.served.release.card.classes)
            return Response(picture, media_type="image/png")
        return _json(answer.body)

    @app.get("/explain/{segment_id}")
    def explanation(segment_id: str, request: Request) -> Response:
        """Why a segment got its label: everything needed to recompute it by hand."""
        record = served.records.get(segment_id)
        if record is None:
            raise Problem(
                404, "There is no such segment.", received=segment_id, allowed="a segment_id of an answer",
                mend="Take the id from POST /segment.",
            )  # fmt: skip
        facts = record.segmentation
        told = explain(record, served.find_release(facts.release, facts.release_path))
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(explanation_page(told))
        return _json(told)

    @app.get("/exemplars/{exemplar_id}")
    def exemplar(exemplar_id: str) -> Response:
        """One exemplar: class, source, box and mask."""
        return _json(describe_exemplar(*served.find_exemplar(exemplar_id)))

    @app.get("/exemplars/{exemplar_id}/image")
    def image(exemplar_id: str) -> Response:
        """The whole image that an exemplar lies in."""
        release, row = served.find_exemplar(exemplar_id)
        file = release.release.image_path(int(release.release.exemplars.image_ids[row]))
        return Response(file.read_bytes(), media_type="image/webp")

    @app.get("/exemplars/{exemplar_id}/crop")
    def crop(exemplar_id: str) -> Response:
        """The part of the image around an exemplar, its mask outlined."""
        release, row = served.find_exemplar(exemplar_id)
        return Response(png(exemplar_crop(release.release, row)), media_type="image/png")

    @app.get("/classes")
    def classes() -> Response:
        """The classes of the release that is served."""
        return _json(served.served.classes)

    @app.get("/releases")
    def releases() -> Response:
        """The releases there are; active is the one that is served."""
        return _json([_stored(stored, served.served.name) for stored in served.store.list()])

    @app.get("/livez")
    def livez() -> Response:
        """Whether the process answers."""
        return _json({"status": "ok"})

    @app.get("/readyz")
    def readyz() -> Response:
        """Whether images can be answered, with what, and on which device."""
        try:
            served.records.ping()
        except SQLAlchemyError as error:
            raise Problem(503, "The database does not answer.", received=str(error)[:200]) from error
        release = served.served.release
        return _json(
            {
                "status": "ready",
                "release": served.served.name,
                "device": settings.device,
                "exemplars": len(release.exemplars),
                "index_revision": engines.INDEX_REVISION,
            }
        )

    @app.get("/metrics")
    def metrics() -> Response:
        """Prometheus metrics."""
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    @app.get("/", response_class=HTMLResponse)
    def page() -> str:
        """A page to try the service with."""
        return _PAGE.read_text(encoding="utf-8")

    return app


async def _image_of(request: Request, max_bytes: int) -> bytes:
    """The image of a request: its raw body, or the multipart field "image"."""
    body = await _read(request, max_bytes)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return body

    async def again() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        form = await Request(request.scope, again).form(max_files=4, max_fields=16)
    except Exception as error:  # starlette and its parser raise several types on a broken form
        raise Problem(
            400, "The multipart form cannot be read.", received=str(error)[:200], mend="Send one field `image`."
        ) from error
    try:
        field = form.get("image")
        if not isinstance(field, UploadFile):
            raise Problem(
                422, "The multipart form has no file in the field `image`.", received=list(form), allowed=["image"],
                mend="Send the image as a file in the field `image`, or as the raw body.",
            )  # fmt: skip
        return await field.read()
    finally:
        await form.close()


async def _read(request: Request, max_bytes: int) -> bytes:
    parts, size = io.BytesIO(), 0
    async for part in request.stream():
        size += len(part)
        if size > max_bytes:
            raise Problem(
                413, "The request body is too large.", received=f"more than {max_bytes} bytes",
                allowed=f"at most {max_bytes} bytes",
                mend="Compress or scale the image down, or let the operator raise SEGSORT_MAX_BYTES.",
            )  # fmt: skip
        parts.write(part)
    return parts.getvalue()


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")


def _stored(stored: StoredRelease, active: str) -> dict[str, Any]:
    return {
        "name": stored.name, "active": stored.name == active, "created": stored.created,
        "description": stored.description, "problem": stored.problem,
    }  # fmt: skip


_BINARY = {"schema": {"type": "string", "format": "binary"}}
_SEGMENT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            **{f"image/{kind}": _BINARY for kind in ("jpeg", "png", "webp", "tiff", "bmp", "gif")},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}
