"""The OpenAPI document: derived from the routes by FastAPI, completed here with security, problems and tags."""

import threading
from importlib.metadata import version
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.concurrency import run_in_threadpool

from service.http import examples, wire
from service.http.access import COOKIE, curator, owner, reader
from service.http.requests import REQUEST_ID_HEADER

_ADDRESS = "/openapi.json"
_MOST_WRITTEN = 4  # documents that are kept, one for each path of a proxy
_SCHEMAS = "#/components/schemas/{model}"
_DESCRIPTION = (
    "Segments images and justifies every label. Each segment takes the label of its nearest labelled segments, the "
    "exemplars, and `GET /explain/{segment_id}` lists those that decided. Exemplars and classes can be edited while "
    "the service runs; every edit is numbered and can be reverted.\n\n"
    "Errors are problem JSON (RFC 9457) with what was received, what is allowed and the fix. "
    f"Every answer has the header `{REQUEST_ID_HEADER}`, and `Server-Timing` with the time that it took.\n\n"
    "Lists are in pages. Where a list takes `before`, pass the id or number of the last entry to get the next page; "
    "where it takes `offset`, add `limit` to it. A page with fewer entries than `limit` is the last."
)
_TAGS = {
    "segmentations": "Segment an image; list, read and relabel earlier answers.",
    "explanations": "Explain why a segment has its label.",
    "segments": "One segment of an answer: its crop, and the correction of its label.",
    "exemplars": "The labelled segments that vote: list, add and remove them.",
    "edits": "The log of edits: what changed, what effect it has, and reverting it.",
    "classes": "The classes that segments may take.",
    "releases": "Releases: a network with its exemplars. One of them is served.",
    "jobs": "Work in the background: adapt the served release to its exemplars, follow and cancel jobs.",
    "webhooks": "Send edits and ended jobs to other programs.",
    "access": "Who the caller is, and signing in with a browser.",
    "health": "Probes and metrics for operators. No key is needed.",
}
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of `segsort keys new`."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key of `segsort keys new`."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "The cookie that `POST /session` sets, for browsers. Over TLS its name has the prefix "
        "`__Host-`, or `__Secure-` below a path.",
    },
}
_ROLES = {
    reader: "Needs the key of a reader or a curator, where the service asks for keys.",
    owner: "Needs the key that sent the image, or that of a curator, where the service asks for keys.",
    curator: "Needs the key of a curator, where the service asks for keys.",
}


class DocumentedApp(FastAPI):
    """An app whose /openapi.json gives the role, the answers and the examples of each operation.

    Args:
        models: further models that request bodies reference with `schema_ref`.
        options: passed to FastAPI.
    """

    def __init__(self, *, models: tuple[type[BaseModel], ...] = (), **options: Any) -> None:
        super().__init__(
            title="SegSort",
            summary="Image segmentation in which every label can be traced to the examples that caused it.",
            description=_DESCRIPTION,
            version=version("segsort"),
            openapi_tags=[{"name": name, "description": about} for name, about in _TAGS.items()],
            license_info={"name": "Apache 2.0", "identifier": "Apache-2.0"},
            openapi_url=None,  # FastAPI would make the document on the event loop, at each request
            docs_url=None,  # `service.routes.pages` serves /docs without a content delivery network
            redoc_url=None,
            **options,
        )
        self._models: tuple[type[BaseModel], ...] = (wire.Problem, *models)
        self._routers: list[APIRouter] = []
        self._writing = threading.Lock()
        self._written: dict[str, bytes] = {}
        self.add_route(_ADDRESS, self._document, include_in_schema=False)

    def openapi(self) -> dict[str, Any]:
        """The document, computed once."""
        if self.openapi_schema is None:
            document = get_openapi(
                title=self.title,
                version=self.version,
                summary=self.summary,
                description=self.description,
                routes=self.routes,
                tags=self.openapi_tags,
                license_info=self.license_info,
            )
            components = document.setdefault("components", {})
            schemas = components.setdefault("schemas", {}) | self._further_schemas()
            schemas["Problem"]["examples"] = [examples.PROBLEM]
            components["schemas"] = dict(sorted(schemas.items()))
            components["securitySchemes"] = _SECURITY
            self._complete_operations(document["paths"])
            self.openapi_schema = document
        return self.openapi_schema

    async def _document(self, request: Request) -> Response:
        """The document as JSON, with the path of the proxy below which the service is."""
        root = request.scope.get("root_path", "").rstrip("/")
        if root not in self._written:
            content = await run_in_threadpool(self._write, root)
            if len(self._written) < _MOST_WRITTEN:
                self._written[root] = content
            return Response(content, media_type="application/json")
        return Response(self._written[root], media_type="application/json")

    def _write(self, root: str) -> bytes:
        with self._writing:
            servers = {"servers": [{"url": root}]} if root else {}
            return orjson.dumps({**self.openapi(), **servers})

    def include_router(self, router: APIRouter, **options: Any) -> None:
        """Add the routes of a router to the app and to the document."""
        super().include_router(router, **options)
        self._routers.append(router)

    def check_root_path(self, root_path: str) -> None:
        """Refuse a root path that looks like the path of a route: a proxy that removes it could not be told from one
        that keeps it.

        Raises:
            ValueError: if a route begins with the first part of the root path.
        """
        first = root_path.strip("/").partition("/")[0]
        paths = [route.path for router in self._routers for route in router.routes if isinstance(route, APIRoute)]
        taken = sorted({path.strip("/").partition("/")[0] for path in [*paths, _ADDRESS]} - {""})
        if first in taken:
            raise ValueError(
                f"SEGSORT_ROOT_PATH={root_path!r} begins like a path of the service ({', '.join(taken)}); choose "
                "another one, such as /segsort"
            )

    def documented_routes(self) -> list[APIRoute]:
        """The routes of the document."""
        routes = (route for router in self._routers for route in router.routes)
        return [route for route in routes if isinstance(route, APIRoute) and route.include_in_schema]

    def _complete_operations(self, paths: dict[str, Any]) -> None:
        """Add the role and the examples of each operation to the paths of the document."""
        for route in self.documented_routes():
            for method in route.methods or ():
                operation = paths[route.path_format][method.lower()]
                _add_role(operation, _role(route.dependant))
                _add_examples(operation)

    def _further_schemas(self) -> dict[str, Any]:
        pairs = [(model, _mode(model)) for model in self._models]
        _, definitions = models_json_schema(pairs, ref_template=_SCHEMAS)
        found: dict[str, Any] = definitions["$defs"]
        return found


def schema_ref(model: type[BaseModel]) -> dict[str, str]:
    """A reference to the schema of a model under `components` of the document."""
    return {"$ref": _SCHEMAS.format(model=model.__name__)}


def _mode(model: type[BaseModel]) -> JsonSchemaMode:
    """How the schema of a model is made: models of answers are serialized, models of bodies are validated."""
    return "serialization" if issubclass(model, wire.Wire) else "validation"


def _role(dependant: Dependant) -> Any:
    """The dependency of a route that checks the key: `reader`, `owner` or `curator`; None: the route needs no key."""
    return next((one.call for one in dependant.dependencies if one.call in _ROLES), None)


def _add_role(operation: dict[str, Any], role: Any) -> None:
    operation["security"] = [] if role is None else [{name: []} for name in _SECURITY]
    about = "Open to everyone: needs no key." if role is None else _ROLES[role]
    operation["description"] = "\n\n".join(filter(None, (operation.get("description"), about)))


def _add_examples(operation: dict[str, Any]) -> None:
    """Add the examples of the JSON answers and of the request body."""
    name = operation["operationId"]
    for status, answer in operation["responses"].items():
        example = examples.ANSWERS.get((name, int(status))) if status.isdigit() else None
        if example is not None:
            answer["content"]["application/json"]["example"] = example
    body = operation.get("requestBody")
    if body is not None:
        operation["requestBody"] = body | {"content": _with_examples(name, body["content"])}


def _with_examples(operation_id: str, contents: dict[str, Any]) -> dict[str, Any]:
    """The media types of a request body with their examples. The argument, which routes share, is not changed."""
    found = dict[str, Any]()
    for media_type, content in contents.items():
        named = examples.BODIES.get((operation_id, media_type))
        found[media_type] = content if named is None else content | {"examples": named}
    return found
