"""Errors of the client. Each says what was received, what is allowed and how to fix it."""

from __future__ import annotations

from typing import Any


class SegsortError(Exception):
    """A request was refused, failed, or could not be sent.

    Attributes:
        title: what is wrong, in one sentence.
        status: HTTP status of the answer; None: there was no answer.
        received: what the service or the client received; None: not said.
        allowed: what is allowed; None: not said.
        fix: what to do; None: not said.
        retry_after: seconds after which the service asks to try again; None: not said.
        request_id: id of the request in the log of the service; None: not said.
    """

    def __init__(
        self,
        title: str,
        *,
        status: int | None = None,
        received: Any = None,
        allowed: Any = None,
        fix: str | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(title)
        self.title, self.status, self.received, self.allowed = title, status, received, allowed
        self.fix, self.retry_after, self.request_id = fix, retry_after, request_id

    def __str__(self) -> str:
        parts = [self.title if self.status is None else f"{self.status}: {self.title}"]
        if self.received is not None:
            parts.append(f"Received: {self.received}.")
        if self.allowed is not None:
            parts.append(f"Allowed: {self.allowed}.")
        if self.fix is not None:
            parts.append(self.fix)
        return " ".join(parts)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.title, {**vars(self)})


class InputError(SegsortError, ValueError):
    """The client cannot send this: an image, an address, a key or an option is not valid. Nothing was sent."""


class UnreachableError(SegsortError):
    """The service could not be reached, or the connection ended before its answer was complete."""


class ResponseError(SegsortError):
    """The answer is not one of a segsort service that this client knows."""


class JobError(SegsortError):
    """A job failed, was cancelled or was interrupted."""


def _restored(kind: type[SegsortError], title: str, fields: dict[str, Any]) -> SegsortError:
    """An error from its pickle, for example from a process of a pool."""
    error = kind(title)
    vars(error).update(fields)
    return error
