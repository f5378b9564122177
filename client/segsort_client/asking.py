"""Requests to the service: how one is built, when it is sent again, and how its answer is read."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from segsort_client.errors import InputError, ResponseError, SegsortError, UnreachableError
from segsort_client.flow import Flow, Send, Sleep

DEFAULT_ADDRESS = "http://127.0.0.1:8000"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 8.0  # seconds, between tries without Retry-After
_REFUSED = (429, 503)  # with Retry-After: the request was not carried out
_FAILED = (502, 503)  # without: it is not known whether it was
_LONGEST_TEXT = 500
_PIECE = 1 << 18  # bytes of a file that are read at once


@dataclass(frozen=True)
class Request:
    """A request to the service.

    Attributes:
        method: HTTP method.
        parts: parts of the path, which are quoted.
        params: query; None values are left out, lists are repeated.
        repeatable: whether it may be sent again when it is not known whether it was carried out.
        gone_is_done: whether 404 after such a try means that it was carried out: it deletes something.
        content: the body, or a file that is read while it is sent.
        json_body: what becomes the JSON of the body.
        form: fields of a multipart form: file name, or None for a text, and content.
        accept: media type of the answer.
        out: file for the content of the answer.
    """

    method: str
    parts: tuple[str | int, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    repeatable: bool = False
    gone_is_done: bool = False
    content: bytes | Path | None = None
    form: Mapping[str, tuple[str | None, bytes]] | None = None
    json_body: Any = None
    content_type: str | None = None
    accept: str = "application/json"
    out: Path | None = None


class Service:
    """Where the service is, and how often a request is tried.

    Args:
        address: URL of the service, also below a path: https://host/sub.
        key: key of the caller; None: the service needs none.
        headers: further headers of every request.
        retries: how often a request is sent again at most.
        max_wait: longest pause before a request is sent again, seconds; a longer Retry-After is an error at once.
        timeout: seconds to connect, and to wait for each part of an answer.
    """

    def __init__(
        self,
        address: str,
        key: str | None,
        headers: Mapping[str, str] | None,
        retries: int,
        max_wait: float,
        timeout: float | httpx.Timeout | None,
    ) -> None:
        self._url = _checked_address(address)
        self._headers = httpx.Headers(dict(headers or {}))
        self._headers.setdefault("User-Agent", "segsort-client")
        if key is not None:
            # The password in an address takes the header Authorization, for example for a proxy.
            name, value = ("X-API-Key", key) if self._url.userinfo else ("Authorization", f"Bearer {key}")
            self._headers[name] = _checked_key(key, value)
        if retries < 0:
            raise InputError("The number of retries is negative.", received=retries, allowed="0 and above")
        self._retries, self._max_wait, self._timeout = retries, max_wait, httpx.Timeout(timeout)

    @property
    def address(self) -> str:
        """The address without a password."""
        return str(self._url.copy_with(username=None, password=None)).rstrip("/")

    def ask(self, asked: Request) -> Flow[httpx.Response]:
        """Send a request, again where that is safe, and return its successful answer.

        Raises:
            SegsortError: if the service refuses it, or does not answer.
        """
        unsure = False  # whether an earlier try may have been carried out
        for tried in range(self._retries + 1):
            outcome = yield Send(self._built(asked), out=asked.out)
            if isinstance(outcome, httpx.Response) and outcome.is_success:
                return outcome
            if unsure and asked.gone_is_done and _status(outcome) == httpx.codes.NOT_FOUND:
                return httpx.Response(httpx.codes.NO_CONTENT)
            pause = self._pause(asked, outcome, tried)
            if pause is None or tried == self._retries:
                raise self._error(asked, outcome)
            unsure = unsure or not _was_refused(outcome)
            yield Sleep(pause)
        raise AssertionError("the last try returns or raises")

    def json(self, asked: Request) -> Flow[Any]:
        """The parsed JSON of an answer.

        Raises:
            SegsortError: if the service refuses the request, does not answer, or answers no JSON.
        """
        answer = yield from self.ask(asked)
        try:
            return json.loads(answer.content)
        except ValueError as error:
            raise ResponseError(
                "The answer is not JSON.", status=answer.status_code, received=_brief(answer.text),
                fix=f"Check that {self.address} is the address of a segsort service.",
            ) from error  # fmt: skip

    def _built(self, asked: Request) -> httpx.Request:
        path = "".join(f"/{_quoted(part)}" for part in asked.parts)
        url = self._url.copy_with(raw_path=(self._url.raw_path.rstrip(b"/") + path.encode("ascii")))
        headers = self._headers.copy()
        headers["Accept"] = asked.accept
        if asked.content_type:
            headers["Content-Type"] = asked.content_type
        params = {name: _text(value) for name, value in asked.params.items() if value is not None}
        content = asked.content if isinstance(asked.content, bytes) else None
        request = httpx.Request(
            asked.method, url, params=params or None, headers=headers, content=content, files=asked.form,
            json=asked.json_body, extensions={"timeout": self._timeout.as_dict()},
        )  # fmt: skip
        if isinstance(asked.content, Path):
            request.stream = FileStream(asked.content)
            request.headers["Content-Length"] = str(asked.content.stat().st_size)
        return request

    def _pause(self, asked: Request, outcome: httpx.Response | httpx.RequestError, tried: int) -> float | None:
        """Seconds to wait before the request is sent again; None: it must not be, or not so soon."""
        if isinstance(outcome, httpx.Response):
            after = retry_after(outcome)
            if outcome.status_code in _REFUSED and after is not None:
                return None if after > self._max_wait else after * _between(1, 1.25)
            if outcome.status_code != httpx.codes.TOO_MANY_REQUESTS and not (
                outcome.status_code in _FAILED and asked.repeatable
            ):
                return None
        elif not (_never_arrived(outcome) or (asked.repeatable and not isinstance(outcome, httpx.TimeoutException))):
            return None
        return min(self._max_wait, _LONGEST_PAUSE, _FIRST_PAUSE * 2.0**tried) * _between(0.75, 1.25)

    def _error(self, asked: Request, outcome: httpx.Response | httpx.RequestError) -> SegsortError:
        if isinstance(outcome, httpx.Response):
            return _refusal(outcome, self.address)
        return self._unreachable(asked, outcome)

    def _unreachable(self, asked: Request, error: httpx.RequestError) -> UnreachableError:
        done = "" if _never_arrived(error) or asked.method == "GET" else " It may have been carried out."
        if isinstance(error, httpx.TimeoutException):
            title, fix = "The service did not answer in time.", "Check the service, or set a longer `timeout`."
        else:
            title, fix = "The service could not be reached.", "Check that it runs at this address, and the network."
        made = UnreachableError(title + done, received=f"{self.address}: {error or type(error).__name__}", fix=fix)
        made.__cause__ = error
        return made


class FileStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A file as the body of a request, of either client, read in pieces.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


def retry_after(answer: httpx.Response) -> float | None:
    """Seconds of the header Retry-After, which is a number or a date; None: there is none that can be read."""
    text = answer.headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(text)
        return max(0.0, (at if at.tzinfo else at.replace(tzinfo=timezone.utc)).timestamp() - time())
    except (TypeError, ValueError, OverflowError):
        return None


def _refusal(answer: httpx.Response, address: str) -> SegsortError:
    """The error of an answer: problem JSON, or that of something else that answered."""
    after = retry_after(answer)
    if answer.is_redirect:
        return ResponseError(
            "The address redirects elsewhere.", status=answer.status_code, received=address,
            allowed=answer.headers.get("location"), fix="Use the address that it redirects to.",
        )  # fmt: skip
    try:
        problem = json.loads(answer.content)
        title = problem["detail"] or problem["title"]
    except (ValueError, TypeError, KeyError):
        return SegsortError(
            f"{answer.reason_phrase or 'An error'}, without a problem that says more.", status=answer.status_code,
            received=_brief(answer.text) or None, retry_after=after,
            fix=f"Check that {address} is the address of a segsort service, and any proxy before it.",
        )  # fmt: skip
    return SegsortError(
        str(title), status=answer.status_code, received=problem.get("received"), allowed=problem.get("allowed"),
        fix=problem.get("fix"), retry_after=after, request_id=problem.get("request_id"),
    )  # fmt: skip


def _was_refused(outcome: httpx.Response | httpx.RequestError) -> bool:
    """Whether a try was certainly not carried out."""
    if isinstance(outcome, httpx.Response):
        return outcome.status_code == httpx.codes.TOO_MANY_REQUESTS or retry_after(outcome) is not None
    return _never_arrived(outcome)


def _never_arrived(error: httpx.RequestError) -> bool:
    return isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol))


def _status(outcome: httpx.Response | httpx.RequestError) -> int | None:
    return outcome.status_code if isinstance(outcome, httpx.Response) else None


def _between(low: float, high: float) -> float:
    """A random factor, so that callers that were refused together do not come back together."""
    return float(random.uniform(low, high))


def _quoted(part: str | int) -> str:
    text = str(part)
    if not text or text in (".", ".."):
        raise InputError("This cannot be an id or a name.", received=repr(text), allowed="an id or name of an answer")
    return quote(text, safe="")


def _text(value: Any) -> Any:
    """A value of a query: true and false as JSON writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return [str(one) for one in value] if isinstance(value, (list, tuple)) else str(value)


def _brief(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."


def _checked_address(address: str) -> httpx.URL:
    allowed = f"http:// or https:// and a host, such as {DEFAULT_ADDRESS} or https://host/sub"
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, TypeError):
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
        shown = _without_password(address)
        raise InputError("This is not the address of a service.", received=shown, allowed=allowed, fix="Correct it.")
    return url


def _without_password(address: object) -> str:
    """An address as it may be shown."""
    try:
        return urlsplit(str(address))._replace(netloc=urlsplit(str(address)).netloc.rpartition("@")[2]).geturl()
    except ValueError:
        return "an invalid URL"


def _checked_key(key: str, value: str) -> str:
    """The value of a header with a key. The error does not show the key."""
    if not key or not key.isascii() or not key.isprintable() or key != key.strip():
        raise InputError(
            "The key has characters that no key has.", received=f"{len(key)} characters",
            allowed="printable ASCII without spaces at its ends", fix="Copy it again from `segsort keys new`.",
        )  # fmt: skip
    return value
