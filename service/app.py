"""The HTTP application: engine, middleware and routes put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from service.adapting.adaptations import Adaptations
from service.answering import engine as engines
from service.answering.activation import Activation
from service.answering.admission import Admission
from service.editing.annotations import Annotation, Category
from service.editing.strokes import Stroke
from service.http.access import add_access
from service.http.body_limit import BodyLimit
from service.http.compression import Compression
from service.http.document import DocumentedApp
from service.http.heads import Heads
from service.http.metrics import Metrics
from service.http.origins import ANY, Origins
from service.http.proxied import Proxied
from service.http.readiness import Readiness
from service.http.requests import REQUEST_ID_HEADER, Requests
from service.http.tracing import Tracing
from service.problems import REFUSALS, add_problem_handlers
from service.routes import (
    adapting,
    adding_exemplars,
    classes,
    edits,
    exemplars,
    explanations,
    exports,
    health,
    importing,
    jobs,
    pages,
    releases,
    segmentations,
    segments,
)
from service.settings import Settings


def create_app(settings: Settings, engine: engines.Engine | None = None) -> FastAPI:
    """The HTTP application over one engine.

    Args:
        settings: of the service.
        engine: the engine to use; None: make one from the settings.

    Raises:
        ValueError: if the settings cannot be used.
    """
    tracing = Tracing.from_environment()
    served = engine if engine is not None else engines.Engine(settings)
    activation = Activation(served)
    adaptations = Adaptations(served, activation)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        served.start()
        adaptations.start()
        threads = current_default_thread_limiter()
        threads.total_tokens += settings.lanes  # images in the engine leave enough threads for other requests
        yield
        adaptations.close()
        served.close()
        if tracing is not None:
            tracing.close()

    app = DocumentedApp(models=(Annotation, Category, Stroke), lifespan=lifespan, responses=REFUSALS)
    app.state.activation = activation
    app.state.adaptations = adaptations
    app.state.engine = served
    add_problem_handlers(app)
    admission = Admission(settings.queue_pixels, settings.deadline_s, settings.lanes, settings.engine_pixels)
    readiness = Readiness(served, admission)
    metrics = Metrics(served, admission, readiness)
    app.state.admission, app.state.readiness, app.state.metrics = admission, readiness, metrics
    add_access(app, settings)
    app.add_middleware(BodyLimit, max_bytes=settings.max_bytes, timeout=settings.upload_timeout_s)  # innermost
    app.add_middleware(Compression)
    app.add_middleware(Heads)
    app.add_middleware(Requests, metrics=metrics, readiness=readiness, tracing=tracing)
    _add_origins(app, app.state.origins)
    answers = (segmentations, explanations, segments, exports)
    edited = (exemplars, adding_exemplars, importing, edits, classes)
    for routes in (*answers, *edited, releases, adapting, jobs, health, pages):
        app.include_router(routes.router)
    app.check_root_path(settings.root_path)
    return app


def _add_origins(app: FastAPI, origins: Origins) -> None:
    """Let pages of other origins read answers (CORS), and take account of proxies. Both are outside of all others."""
    if origins.readers:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins.readers,
            allow_methods=("GET", "HEAD", "POST", "DELETE"),
            allow_headers=("Authorization", "X-API-Key", REQUEST_ID_HEADER),
            allow_credentials=ANY not in origins.readers,
            expose_headers=(REQUEST_ID_HEADER, "Server-Timing", "Retry-After", "Location"),
        )
    app.add_middleware(Proxied, origins=origins)
