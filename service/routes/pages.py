"""The web page and its files. They need no key: the page asks for the key itself."""

import hashlib
from pathlib import Path

from fastapi import APIRouter, Request, Response

from service.problems import Problem

router = APIRouter(tags=["pages"], include_in_schema=False)

STATIC = Path(__file__).parent.parent / "static"
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
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
    """The HTML of the web page."""
    return _file(request, STATIC / "index.html")


@router.get("/static/{name:path}")
def static(name: str, request: Request) -> Response:
    """A script, style sheet or icon of the web page.

    Raises:
        Problem: 404 if the page has no such file.
    """
    file = _find(name)
    if file is None or file.suffix not in _TYPES:
        raise Problem(
            404, "The web page has no such file.", received=name[:200].encode(errors="replace").decode(),
            fix="Open the web page at /.",
        )  # fmt: skip
    return _file(request, file)


def html(content: str) -> Response:
    """An HTML response whose content security policy forbids resources of other hosts."""
    return Response(content, media_type="text/html; charset=utf-8", headers=_headers())


def _find(name: str) -> Path | None:
    """The file of this name below STATIC; None if there is none, or if it is elsewhere."""
    try:
        file = (STATIC / name).resolve()
        return file if file.is_relative_to(STATIC.resolve()) and file.is_file() else None
    except (OSError, ValueError):  # no file can have this name
        return None


def _file(request: Request, file: Path) -> Response:
    """The content of a file with its ETag, or 304 if the browser has this content already."""
    content = file.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = _headers() | {"ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=_TYPES[file.suffix], headers=headers)


def _headers() -> dict[str, str]:
    return {
        "Cache-Control": "no-cache",  # the browser asks each time and gets 304 while the ETag is the same
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
    }
