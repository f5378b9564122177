"""The routes that Label Studio calls, and a page for people."""

import base64
import hmac
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from segsort_label_studio.backend import Backend, Task, surfaces_of
from segsort_label_studio.errors import PHRASES, BackendError
from segsort_label_studio.page import page
from segsort_label_studio.teaching import Teacher

SECRET_HEADER = "X-Segsort-Secret"
_MOST_BYTES = 128 << 20  # of a request
_OVERLAP = 600.0  # seconds before the last webhook from which changes are asked for after a restart
_REGISTERED_FOR = 600.0  # seconds until the webhook of a project is looked at again
_UNTIL_REGISTERED = 3.0  # seconds after /setup, in which Label Studio registers its own webhook

log = logging.getLogger(__name__)
Handler = Callable[[Request, dict[str, Any]], tuple[int, Any]]
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Guard:
    """Who may call: user and password of every request, or the secret of webhooks; None: everyone."""

    user: str | None = None
    password: str | None = None
    secret: str | None = None

    def admits(self, request: Request) -> bool:
        """Whether a request shows what is needed."""
        if request.url.path == "/livez":
            return True
        basic = self.user is None or _same(request.headers.get("authorization", ""), self.basic)
        if request.url.path == "/webhook" or (request.url.path == "/train" and self.user is None):
            shown = self.secret is not None and _same(request.headers.get(SECRET_HEADER, ""), self.secret)
            return shown or (self.secret is None and basic)
        return basic

    @property
    def open(self) -> bool:
        """Whether whoever reaches the backend may send webhooks."""
        return self.user is None and self.secret is None

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    @property
    def webhook_headers(self) -> dict[str, str]:
        """What a webhook must send."""
        if self.secret is not None:
            return {SECRET_HEADER: self.secret}
        return {} if self.user is None else {"Authorization": self.basic}


def _same(shown: str, needed: str) -> bool:
    return hmac.compare_digest(shown.encode(), needed.encode())


class Application:
    """The backend behind its routes."""

    def __init__(self, backend: Backend, teacher: Teacher, guard: Guard) -> None:
        self.backend, self.teacher, self.guard = backend, teacher, guard
        self.counts = dict.fromkeys(("predictions", "prompts", "webhooks", "errors"), 0)
        self.last_error = ""
        self._stopped = threading.Event()
        self._registered: dict[tuple[int, str], float] = {}
        self._server_given = bool(backend.label_studio.address)  # by the operator, and not by who calls /setup

    def app(self) -> Starlette:
        posts: dict[str, Handler] = {
            "/predict": self.predict, "/setup": self.set_up, "/webhook": self.webhook, "/train": self.train,
            "/validate": self.validate, "/delete": self.delete, "/duplicate_model": self.duplicate,
            "/job_status": self.job_status,
        }  # fmt: skip
        gets: dict[str, Callable[[Request], Response]] = {
            "/": self.root, "/health": self.health, "/livez": self.health, "/versions": self.versions,
            "/is_training": self.is_training, "/metrics": self.metrics,
        }  # fmt: skip
        routes = [Route(path, self._posted(handler), methods=["POST"]) for path, handler in posts.items()]
        routes += [Route(path, self._guarded(handler)) for path, handler in gets.items()]
        routes.append(Route("/try-again", self._guarded(self.try_again), methods=["POST"]))
        return Starlette(routes=routes, lifespan=self._living)

    def close(self) -> None:
        """Close the connections and the file."""
        self.backend.service.close()
        self.backend.label_studio.close()
        self.backend.memory.close()

    @asynccontextmanager
    async def _living(self, _: Starlette) -> AsyncIterator[None]:
        self.teacher.start()
        self.backend.in_background(self._catch_up)
        yield
        self._stopped.set()
        await run_in_threadpool(self.teacher.stop)

    def _guarded(self, handler: Callable[[Request], Response]) -> Endpoint:
        """An endpoint that admits its callers, and answers errors."""

        async def endpoint(request: Request) -> Response:
            if not self.guard.admits(request):
                return _problem(401, PHRASES[401], {"WWW-Authenticate": 'Basic realm="segsort"'})
            try:
                return await run_in_threadpool(handler, request)
            except BackendError as error:
                return self._refused(error)

        return endpoint

    def _posted(self, handler: Handler) -> Endpoint:
        """An endpoint that reads a JSON object."""

        async def endpoint(request: Request) -> Response:
            if not self.guard.admits(request):
                return _problem(401, PHRASES[401], {"WWW-Authenticate": 'Basic realm="segsort"'})
            try:
                body = await _object(request)
                status, answer = await run_in_threadpool(handler, request, body)
                return JSONResponse(answer, status)
            except BackendError as error:
                return self._refused(error)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                log.warning("%s: a field is missing or malformed", request.url.path, exc_info=True)
                said = f"{request.url.path}: a field is missing or malformed ({type(error).__name__}: {error})"
                return self._refused(BackendError(400, said))

        return endpoint

    def _refused(self, error: BackendError) -> Response:
        self.counts["errors"] += 1
        self.last_error = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {error.message}"
        log.warning("%d %s", error.status, error.message)
        return _problem(error.status, error.message, {})

    def predict(self, _: Request, body: dict[str, Any]) -> tuple[int, Any]:
        """Predictions of tasks, or with a context the region that a smart tool asks for."""
        tasks = [Task(int(task["id"]), task["data"]) for task in body["tasks"]]
        config, project = body["label_config"], _project(body)
        context = (body.get("params") or {}).get("context")
        if context and tasks:
            self.counts["prompts"] += 1
            return 200, {"results": [self.backend.interactive(tasks[0], config, project, context)]}
        found = self.backend.predict(tasks, config, project)
        self.counts["predictions"] += len(found)
        return 200, {"results": found}

    def set_up(self, request: Request, body: dict[str, Any]) -> tuple[int, Any]:
        """Label Studio connects a project, and asks for the version of the model."""
        project = _project(body)
        version = self.backend.set_up(project, body["schema"], body.get("extra_params"))
        if not self.backend.label_studio.address:
            self.backend.adopt(body.get("hostname") or "", body.get("access_token") or None)
        if self.guard.webhook_headers and self.backend.label_studio.key and self._server_given:
            self._register_soon(int(project), f"{request.base_url}webhook")
        return 200, {"model_version": version}

    def _register_soon(self, project: int, url: str) -> None:
        """Give the webhook of a project what it must send, once in a while: /setup comes before each prediction."""
        if time.monotonic() < self._registered.get((project, url), 0.0):
            return
        self._registered[(project, url)] = time.monotonic() + _REGISTERED_FOR

        def register() -> None:
            if self._stopped.wait(_UNTIL_REGISTERED):
                return
            try:
                done = self.backend.label_studio.ensure_webhook(project, url, self.guard.webhook_headers)
                log.info("the webhook of project %d is %s", project, done)
            except BackendError as error:
                self._registered.pop((project, url), None)
                self._refused(error)

        self.backend.in_background(register)

    def webhook(self, _: Request, body: dict[str, Any]) -> tuple[int, Any]:
        """Something changed in Label Studio. What it teaches is on disk when this is answered."""
        self.counts["webhooks"] += 1
        self.backend.memory.put_heard()
        action = body["action"]
        if action in ("ANNOTATION_CREATED", "ANNOTATION_UPDATED"):
            self._annotated(body["annotation"], body["task"], body["project"])
        elif action == "ANNOTATIONS_CREATED":
            for annotation, task in zip(body["annotation"], _many(body["task"]), strict=True):
                self._annotated(annotation, task, body["project"])
        elif action == "ANNOTATIONS_DELETED":
            self.teacher.deleted(
                int(one["id"]) for one in body["annotations" if "annotations" in body else "annotation"]
            )
        elif action == "TASKS_DELETED":
            for task in _many(body["tasks" if "tasks" in body else "task"]):
                self.teacher.task_deleted(int(task["id"]))
        elif action == "START_TRAINING":
            self.teacher.try_again()
            self.backend.in_background(lambda: self._teach_all(int(body["project"]["id"])))
        else:
            return 200, {"status": "ignored"}
        return 201, {"status": "queued"}

    def _annotated(self, annotation: dict[str, Any], task: dict[str, Any], project: dict[str, Any]) -> None:
        self.teacher.annotated(annotation, task, str(project["id"]), project["label_config"])

    def _catch_up(self) -> None:
        """Queue what changed while this backend did not run: Label Studio sends each webhook once."""
        heard = self.backend.memory.heard()
        if heard is not None and self.backend.label_studio.key:
            for project in self.backend.memory.projects():
                self._teach_all(int(project), heard - _OVERLAP)

    def _teach_all(self, project: int, since: float | None = None) -> None:
        """Queue the annotations of a project; versions that were taught already teach nothing again."""
        found = self.backend.label_studio.project(project)
        for task in self.backend.label_studio.annotated_tasks(project, since):
            for annotation in task["annotations"]:
                self._annotated(annotation, task, found)

    def train(self, _: Request, body: dict[str, Any]) -> tuple[int, Any]:
        """The button "Start training" of older servers, which send all annotated tasks."""
        project = {"id": _project(body), "label_config": body["label_config"]}
        for task in body["annotations"]:
            for annotation in task.get("annotations") or task.get("completions") or []:
                self._annotated(annotation, task, project)
        return 201, {"job": f"project-{project['id']}"}

    def validate(self, _: Request, body: dict[str, Any]) -> tuple[int, Any]:
        surfaces_of(body["config"])
        return 200, {"status": "ok"}

    def delete(self, _: Request, body: dict[str, Any]) -> tuple[int, Any]:
        self.backend.memory.drop_project(_project(body))
        return 200, {}

    def duplicate(self, _: Request, body: dict[str, Any]) -> tuple[int, Any]:
        return 200, {}  # a project is set up when it is connected

    def job_status(self, _: Request, body: dict[str, Any]) -> tuple[int, Any]:
        waiting, _failed = self.backend.memory.counts()
        return 200, {"job_status": "started" if waiting else "finished"}

    def root(self, request: Request) -> Response:
        """A page for people, and what /health says for programs."""
        if "text/html" not in request.headers.get("accept", ""):
            return self.health(request)
        return HTMLResponse(page(self.backend, self.counts, self.last_error))

    def health(self, _: Request) -> Response:
        return JSONResponse({"status": "UP", "model_class": "segsort"})

    def versions(self, _: Request) -> Response:
        return JSONResponse({"versions": [self.backend.service.version()]})

    def is_training(self, _: Request) -> Response:
        return JSONResponse({"is_training": self.backend.memory.counts()[0] > 0})

    def try_again(self, _: Request) -> Response:
        self.teacher.try_again()
        return RedirectResponse("./", 303)

    def metrics(self, _: Request) -> Response:
        """Counts for Prometheus."""
        waiting, failed = self.backend.memory.counts()
        counters = {f"{name}_total": value for name, value in self.counts.items()}
        counters |= {"edits_made_total": self.teacher.made, "edits_undone_total": self.teacher.undone}
        gauges = {"corrections_waiting": waiting, "corrections_failed": failed}
        lines = [
            f"# TYPE segsort_label_studio_{name} {kind}\nsegsort_label_studio_{name} {value}"
            for kind, values in (("counter", counters), ("gauge", gauges))
            for name, value in values.items()
        ]
        return PlainTextResponse("\n".join(lines) + "\n")


async def _object(request: Request) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        BackendError: 413 if it is too large, 400 if it is none, or is not sent as JSON: then a page of another site may
            have sent it, which browsers allow for plain text.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise BackendError(400, "The request is not sent as application/json.")
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > _MOST_BYTES:
            raise BackendError(413, f"The request has more than {_MOST_BYTES} bytes.")
    try:
        found = json.loads(content)
    except ValueError as error:
        raise BackendError(400, f"The request is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise BackendError(400, "The request is not a JSON object.")
    return found


def _problem(status: int, message: str, headers: Mapping[str, str]) -> JSONResponse:
    return JSONResponse({"error": message, "status": status}, status, dict(headers))


def _project(body: Mapping[str, Any]) -> str:
    """The number of a project, of which Label Studio sends NUMBER.TIME."""
    return str(body["project"]).partition(".")[0]


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
