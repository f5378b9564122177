"""The HTTP application: engine, middleware and routes put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from model_store.unfinished import remove_unfinished
from service.adapting.adaptations import Adaptations
from service.adapting.background import BackgroundJobs
from service.adapting.builds import Builds
from service.adapting.comparing import Comparisons
from service.adapting.earlier import Carrying
from service.answering import engine as engines
from service.answering.activation import Activation
from service.answering.admission import Admission
from service.answering.decodings import Decodings
from service.answering.renderings import Renderings
from service.auditing.audits import Audits
from service.batching.metrics import JobMetrics
from service.batching.segment_jobs import SegmentJobs
from service.editing.annotations import Annotation, Category
from service.editing.importing import IMPORTS
from service.editing.marks import LabelsBody, MarksBody
from service.editing.strokes import Stroke
from service.http.access import add_access
from service.http.budget_metrics import BudgetMetrics
from service.http.budgeted import RequestBudgets
from service.http.budgets import threads
from service.http.callers.callers import Callers
from service.http.callers.metrics import CallerMetrics
from service.http.callers.refusals import Refusals, SlowedRefusals
from service.http.compression import Compression
from service.http.connections import ConnectionMetrics, Connections, Limits
from service.http.document import DocumentedApp
from service.http.gate import Gate, GateRules
from service.http.heads import Heads
from service.http.hosts import AllowedHosts
from service.http.metrics import Metrics
from service.http.origins import ANY, Origins
from service.http.proxied import Proxied
from service.http.readiness import Readiness
from service.http.requests import REQUEST_ID_HEADER, Requests
from service.http.spooled import SpoolRoom
from service.http.tracing import Tracing
from service.images.decode import decoding_in
from service.problems import REFUSALS, add_problem_handlers
from service.routes import (
    adapting,
    adding_exemplars,
    auditing,
    batches,
    building,
    changing_exemplars,
    classes,
    comparing,
    edits,
    exemplars,
    explanations,
    exploring,
    exports,
    health,
    images,
    importing,
    jobs,
    marking,
    pages,
    releases,
    segment_jobs,
    segmentations,
    segments,
    webhooks,
)
from service.settings import Settings
from service.webhooks.metrics import WebhookMetrics
from service.webhooks.rules import Rules
from service.webhooks.webhooks import Webhooks

_SPARE_THREADS = 16  # for what requests do outside of their lane, such as compression of answers


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
    origins = Origins.of(settings)
    callers = Callers(settings, served.records.engine)
    activation = Activation(served)
    background = BackgroundJobs(settings, served.records.engine)
    builds = Builds(served, background)
    audits = Audits(served.segmenter.cores)
    decodings = Decodings(settings)
    admission = Admission(settings.queue_pixels, settings.deadline_s, settings.lanes, settings.engine_pixels)
    batch_jobs = SegmentJobs(served, admission)
    served.housekeeping.also(batch_jobs.chore)
    hooks = Webhooks(served.records.engine, Rules.of(settings, callers.access.asked, origins.root_path))

    served.notices.on("cancels", batch_jobs.workers.wake)
    served.notices.on("cancels", background.look)
    served.notices.on("edits", hooks.sender.wake_if_any)
    served.notices.on("jobs", hooks.sender.wake_if_any)
    served.notices.on("webhooks", hooks.sender.wake)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        served.start()
        callers.start()
        background.start()
        builds.archives.remove_leftovers()
        remove_unfinished(settings.data_dir / IMPORTS)
        hooks.sender.start()
        current_default_thread_limiter().total_tokens = threads() + settings.lanes + _SPARE_THREADS
        decodings.pool.start()
        with decoding_in(decodings.pool):
            batch_jobs.workers.start()
            yield
            await batch_jobs.workers.close()
        decodings.pool.close()
        hooks.sender.close()
        background.close()
        audits.close()
        callers.close()
        served.close()
        if tracing is not None:
            tracing.close()

    app = DocumentedApp(
        models=(Annotation, Category, LabelsBody, MarksBody, Stroke), lifespan=lifespan, responses=REFUSALS
    )
    app.state.activation = activation
    app.state.jobs = background
    app.state.adaptations = Adaptations(served, activation, background)
    app.state.audits = audits
    app.state.builds = builds
    app.state.carrying = Carrying(served, background)
    app.state.comparisons = Comparisons(served)
    app.state.decodings = decodings
    app.state.engine = served
    app.state.webhooks = hooks
    app.state.page_files = pages.page_files()
    app.state.segment_jobs = batch_jobs
    add_problem_handlers(app)
    readiness = Readiness(served, admission)
    metrics = Metrics(served, admission, readiness, decodings)
    metrics.registry.register(CallerMetrics(callers))
    metrics.registry.register(JobMetrics(batch_jobs))
    metrics.registry.register(WebhookMetrics(hooks.sender))
    app.state.admission, app.state.readiness, app.state.metrics = admission, readiness, metrics
    app.state.spool = SpoolRoom(settings.data_dir / "uploads")
    app.state.budgets = RequestBudgets(settings, lambda: admission.engaged)
    metrics.registry.register(BudgetMetrics(app.state.budgets))
    refusals = Refusals(settings.refusals_per_minute)
    app.state.refusals, app.state.connections = refusals, Connections(Limits.of(settings), refusals)
    metrics.registry.register(ConnectionMetrics(app.state.connections))
    app.state.renderings = Renderings(settings, served.records.images)
    served.housekeeping.also(app.state.renderings.forget)
    app.add_middleware(Compression)  # innermost
    app.add_middleware(Heads)
    add_access(app, callers, origins)
    app.state.gate = GateRules(AllowedHosts.of(settings, callers.access, origins), callers, origins)
    app.add_middleware(Gate, rules=app.state.gate)
    app.add_middleware(Requests, metrics=metrics, readiness=readiness, tracing=tracing, access_log=callers.access_log)
    app.add_middleware(SlowedRefusals, refusals=refusals)
    _add_origins(app, origins)
    answers = (segmentations, batches, images, explanations, exploring, segments, exports)
    edited = (auditing, changing_exemplars, marking, exemplars, adding_exemplars, importing, edits, classes)
    jobs_and_hooks = (adapting, segment_jobs, jobs, webhooks)
    for routes in (*answers, *edited, releases, building, comparing, *jobs_and_hooks, health, pages):
        app.include_router(routes.router)
    app.include_router(marking.segments_router)
    if settings.metrics_port is None:
        app.include_router(health.metrics_router)
    app.check_root_path(settings.root_path)
    return app


def _add_origins(app: FastAPI, origins: Origins) -> None:
    """Let pages of other origins read answers (CORS), and take account of proxies. Both are outside of all others."""
    if origins.readers:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins.readers,
            allow_methods=("GET", "HEAD", "POST", "PUT", "DELETE"),
            allow_headers=("Authorization", "X-API-Key", REQUEST_ID_HEADER),
            allow_credentials=ANY not in origins.readers,
            expose_headers=(
                REQUEST_ID_HEADER,
                "Server-Timing",
                "Retry-After",
                "RateLimit",
                "RateLimit-Policy",
                "Location",
            ),
        )
    app.add_middleware(Proxied, origins=origins)
