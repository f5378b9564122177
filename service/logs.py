"""Logging: lines of text or JSON on standard error, each with the id of its request."""

import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

LogFormat = Literal["text", "json"]

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)  # id of the current request


class Touched:
    """What a request read, made and edited, for the access log and for problems.

    Attributes:
        ids: of answers and segments.
        edit: number of the edit that it made; None: none.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.edit: int | None = None


touched: ContextVar[Touched | None] = ContextVar("touched", default=None)  # of the current request


def note_touched(*ids: str) -> None:
    """Note what the current request reads or makes."""
    current = touched.get()
    if current is not None:
        current.ids.extend(ids)


def note_edit(revision: int) -> None:
    """Note the edit that the current request made."""
    current = touched.get()
    if current is not None:
        current.edit = revision


_EXTRA = ("method", "path", "status", "ms", "caller", "address")  # further fields of a record about a request


class TextFormatter(logging.Formatter):
    """Formats a record as text for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line, followed by its traceback."""
        current = request_id.get()
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        text = super().format(record)
        return f"segsort: {level}{text}" + (f" [{current}]" if current and "\n" not in text else "")


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object.

    Its fields are time, level, logger, message, request_id and exception; a record about a request also has method,
    path, status, ms, caller (name of the key) and address (of the client).
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line of JSON."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
        }
        fields |= {name: getattr(record, name) for name in _EXTRA if hasattr(record, name)}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(fields, default=str).decode()


def set_up_logs(form: LogFormat) -> None:
    """Write the messages of the service and of uvicorn to standard error, from level INFO."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    for name in ("segsort", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
