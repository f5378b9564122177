"""The web page, the API reference at /docs, and their files. They need no key; the page asks the user for one."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Request, Response

from service.problems import Problem, printable

router = APIRouter(tags=["pages"], include_in_schema=False)

STATIC = Path(__file__).parent.parent / "static"
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_SWAGGER_UI = ("swagger-ui-bundle.js", "swagger-ui.css")  # files of Swagger UI, which fastapi_offline bundles
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".woff2": "font/woff2",
}


@router.get("/")
def page(request: Request) -> Response:
    """The web page."""
    return _file(request, STATIC / "index.html")


@router.get("/docs")
def docs(request: Request) -> Response:
    """The API reference, rendered from /openapi.json by Swagger UI."""
    return _file(request, STATIC / "docs.html")


@router.get("/docs/{name}")
def swagger_ui(name: str, request: Request) -> Response:
    """A file of Swagger UI."""
    spec = find_spec("fastapi_offline")
    if name not in _SWAGGER_UI or spec is None or spec.origin is None:
        raise Problem(404, "The API reference has no such file.", received=printable(name[:200]), fix="Reload /docs.")
    return _file(request, Path(spec.origin).parent / "static" / name)


@router.get("/static/{name:path}")
def static(name: str, request: Request) -> Response:
    """A file of the web page."""
    file = _find(name)
    if file is None or file.suffix not in _TYPES:
        raise Problem(
            404, "The page has no such file.", received=printable(name[:200]),
            fix="Reload the page. If the error stays, tell the operator.",
        )  # fmt: skip
    return _file(request, file)


def html(content: str) -> Response:
    """An HTML response under the page's Content-Security-Policy: it loads nothing from other hosts."""
    return Response(content, media_type="text/html; charset=utf-8", headers=_headers())


def _find(name: str) -> Path | None:
    """The file of this name below STATIC; None if it does not exist or is outside STATIC."""
    try:
        file = (STATIC / name).resolve()
        return file if file.is_relative_to(STATIC.resolve()) and file.is_file() else None
    except (OSError, ValueError):  # not a valid file name
        return None


def _file(request: Request, file: Path) -> Response:
    """The content of a file with its ETag, or 304 if the browser has cached this content."""
    content = file.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = _headers() | {"ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=_TYPES[file.suffix], headers=headers)


def _headers() -> dict[str, str]:
    return {
        "Cache-Control": "no-cache",  # the browser revalidates by ETag
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
    }
