"""What all operations share: the service that is asked, and ids in place of results."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx

from segsort_client.asking import Request, Service
from segsort_client.errors import InputError
from segsort_client.flow import Flow, Work
from segsort_client.parsing import parse

T = TypeVar("T")


class Asking:
    """Asks one service."""

    def __init__(self, service: Service, timeout: float | httpx.Timeout | None) -> None:
        self._service, self._timeout = service, timeout

    @property
    def address(self) -> str:
        """URL of the service, without a password."""
        return self._service.address

    def _read(self, kind: type[T], /, *parts: str | int, **params: Any) -> Flow[T]:
        """GET something that is a result of this kind."""
        found = yield from self._service.json(Request("GET", parts, params, repeatable=True))
        return parse(kind, found)

    def _bytes(self, *parts: str | int, accept: str = "*/*", **params: Any) -> Flow[bytes]:
        """GET a file."""
        answer = yield from self._service.ask(Request("GET", parts, params, repeatable=True, accept=accept))
        return answer.content

    def _post(
        self, kind: type[T], parts: tuple[str | int, ...], body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None, *, repeatable: bool,
    ) -> Flow[T]:  # fmt: skip
        """POST JSON without its None values; the answer is a result of this kind."""
        sent = None if body is None else {name: value for name, value in body.items() if value is not None}
        asked = Request("POST", parts, params or {}, repeatable=repeatable, json_body=sent)
        return parse(kind, (yield from self._service.json(asked)))

    def _post_archive(
        self, kind: type[T], parts: tuple[str, ...], archive: bytes | str | os.PathLike[str], **params: Any
    ) -> Flow[T]:
        """POST a ZIP archive, or the file at a path; the answer is a result of this kind."""
        content = archive if isinstance(archive, bytes) else Path(archive)
        if isinstance(content, Path) and not (yield Work(content.is_file)):
            raise InputError(
                "There is no such archive.", received=str(content), allowed="a ZIP archive",
                fix=f"Check the path: {content.absolute()}.",
            )  # fmt: skip
        asked = Request("POST", parts, params, content=content, content_type="application/zip")
        return parse(kind, (yield from self._service.json(asked)))

    def _nothing(self, method: str, *parts: str | int, **params: Any) -> Flow[None]:
        """A request that has no answer but its success. Repeating it changes nothing more."""
        asked = Request(method, parts, params, repeatable=True, gone_is_done=method == "DELETE")
        yield from self._service.ask(asked)
