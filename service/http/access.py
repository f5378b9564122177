"""Who may do what over HTTP: dependencies that ask for a key, and sign-in for browsers.

An application calls `add_access(app, settings)` once; its routes then take `Depends(reader)` or `Depends(curator)`,
which give the `Caller`.
"""

from typing import Annotated
from urllib.parse import urlsplit

import orjson
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import BaseModel, Field

from service.http.keys import Access, Caller, read_access
from service.problems import Problem, problem_response
from service.settings import Settings

__all__ = ["Caller", "add_access", "curator", "reader", "router"]

COOKIE = "segsort_key"


def add_access(app: FastAPI, settings: Settings) -> None:
    """Let the app ask for the settings' keys, and answer /me and /session.

    Raises:
        ValueError: see `read_access`.
    """

    async def unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return problem_response(error, {"WWW-Authenticate": 'Bearer realm="segsort"'})

    app.state.access = read_access(settings)
    app.add_exception_handler(UnknownCaller, unknown)
    app.include_router(router)


class UnknownCaller(Problem):
    """Nothing that is known was presented. The same answer for each reason: it does not tell which names there are."""

    def __init__(self) -> None:
        super().__init__(
            401,
            "A key is needed.",
            allowed="Authorization: Bearer KEY, X-API-Key: KEY, or the cookie of POST /session",
            fix="Present a key that the operator gave out; `segsort keys new NAME --role reader` makes one.",
        )


async def reader(request: Request) -> Caller:
    """Dependency: whoever may read.

    Raises:
        UnknownCaller: without a key that is known (401).
    """
    access: Access = request.app.state.access
    caller = access.caller(_presented(request))
    if caller is None:
        raise UnknownCaller
    return caller


async def curator(request: Request) -> Caller:
    """Dependency: whoever may edit.

    Raises:
        UnknownCaller: without a key that is known (401).
        Problem: 403 with a reader's key, and for a page of another site that uses the browser of someone who may.
    """
    caller = await reader(request)
    if caller.role != "curator":
        raise Problem(
            403, "This key may read and not edit.", received=caller.role, allowed="curator",
            fix="Ask the operator for a curator's key.",
        )  # fmt: skip
    if _from_another_site(request):
        raise Problem(
            403, "A page of another site may not edit.", received=request.headers.get("origin"),
            allowed="pages of this service, and callers that send the key in a header",
            fix="Send the key as Authorization: Bearer KEY, or open the service's own page.",
        )  # fmt: skip
    return caller


class SignIn(BaseModel):
    """Body of POST /session."""

    key: str = Field(max_length=1000)


router = APIRouter(tags=["access"])


@router.get("/me")
def me(request: Request, caller: Annotated[Caller, Depends(reader)]) -> Response:
    """Who the caller is, and whether keys are asked for at all."""
    return _told(request, caller)


@router.post("/session")
def sign_in(request: Request, body: SignIn) -> Response:
    """Keep a key in a cookie that pages cannot read, so that a browser presents it."""
    access: Access = request.app.state.access
    caller = access.caller(body.key)
    if caller is None:
        raise UnknownCaller
    answer = _told(request, caller)
    if access.keys:
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, body.key, path="/", httponly=True, samesite="strict", secure=secure)
    return answer


@router.delete("/session", status_code=204)
def sign_out() -> Response:
    """Let the browser forget the key."""
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return answer


def _told(request: Request, caller: Caller) -> Response:
    body = {"name": caller.name, "role": caller.role, "keys": bool(request.app.state.access.keys)}
    return Response(orjson.dumps(body), media_type="application/json", headers={"Cache-Control": "no-store"})


def _presented(request: Request) -> str | None:
    """The key of a request: in a header, or else in the cookie."""
    return _in_header(request) or request.cookies.get(COOKIE)


def _in_header(request: Request) -> str | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    return request.headers.get("x-api-key")


def _from_another_site(request: Request) -> bool:
    """Whether a browser says that a page of another origin sends this, in the name of its user.

    A cookie is not sent then, but where no keys are set there is nothing to send. A key in a header is the page's own.
    """
    if request.app.state.access.keys and _in_header(request):
        return False
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc != request.headers.get("host")
    except ValueError:  # no address, so not this service's
        return True
