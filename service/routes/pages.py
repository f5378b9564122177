"""The web page, the API reference at /docs, and their files. They need no key; the page asks the user for one."""

from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Request, Response

from service.http.budgeted import Budgeted
from service.http.compression import accepts_gzip
from service.page.files import PageFile, PageFiles
from service.problems import Problem, printable

router = APIRouter(route_class=Budgeted, tags=["pages"], include_in_schema=False)

STATIC = Path(__file__).parent.parent / "static"
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
REVALIDATED = "no-cache"  # the browser asks each time whether its copy is still current, by ETag
UNCHANGING = "public, max-age=31536000, immutable"  # a year
_SWAGGER_UI = ("swagger-ui-bundle.js", "swagger-ui.css")  # files of Swagger UI, which fastapi_offline bundles


def page_files() -> PageFiles:
    """The files of the page and of the API reference. Each application has its own."""
    spec = find_spec("fastapi_offline")
    swagger = Path(spec.origin).parent / "static" if spec and spec.origin else STATIC
    return PageFiles({"static": STATIC, "docs": swagger}, only={"docs": _SWAGGER_UI})


@router.get("/")
def page(request: Request) -> Response:
    """The web page."""
    return _answer(request, _files(request).page("index.html"), REVALIDATED)


@router.get("/docs")
def docs(request: Request) -> Response:
    """The API reference, rendered from /openapi.json by Swagger UI."""
    return _answer(request, _files(request).page("docs.html"), REVALIDATED)


@router.get("/docs/{name}")
def swagger_ui(name: str, request: Request) -> Response:
    """A file of Swagger UI."""
    return _found(request, f"docs/{name}", "The API reference has no such file.", "Reload /docs.")


@router.get("/static/{name:path}")
def static(name: str, request: Request) -> Response:
    """A file of the web page."""
    fix = "Reload the page. If the error stays, tell the operator."
    return _found(request, f"static/{name}", "The page has no such file.", fix)


def html(content: str) -> Response:
    """An HTML response under the page's Content-Security-Policy: it loads nothing from other hosts."""
    return Response(content, media_type="text/html; charset=utf-8", headers=_headers(REVALIDATED))


def _files(request: Request) -> PageFiles:
    files: PageFiles = request.app.state.page_files
    return files


def _found(request: Request, address: str, detail: str, fix: str) -> Response:
    """The file of an address.

    Raises:
        Problem: 404 with this detail and fix, if there is no such file.
    """
    found = _files(request).find(address)
    if found is None:
        name = address.partition("/")[2]
        raise Problem(404, detail, received=printable(name[:200]), fix=fix)
    file, unchanging = found
    return _answer(request, file, UNCHANGING if unchanging else REVALIDATED)


def _answer(request: Request, file: PageFile, caching: str) -> Response:
    """The content of a file with its ETag, or 304 if the browser has this content."""
    headers, content, tag = _headers(caching), file.content, f'"{file.digest[:32]}"'
    if file.gzipped is not None and accepts_gzip(request.headers.get("accept-encoding")):
        content, tag = file.gzipped, f"W/{tag}"  # weak, because the bytes differ from those of the file
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}  # the middleware adds Vary to all others
    headers["ETag"] = tag
    if tag.removeprefix("W/") in request.headers.get("if-none-match", ""):
        headers.pop("Content-Encoding", None)
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=file.media_type, headers=headers)


def _headers(caching: str) -> dict[str, str]:
    return {
        "Cache-Control": caching,
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
    }
