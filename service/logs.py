"""Logs: what happens, as text or as JSON lines, each with the id of the request that it happened in."""

import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

LogFormat = Literal["text", "json"]

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)  # of the request that is answered here
_EXTRA = ("method", "path", "status", "ms")  # of a line about a request


class TextFormatter(logging.Formatter):
    """Lines that a person reads."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as a line, and its traceback below."""
        told = request_id.get()
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        said = super().format(record)
        return f"segsort: {level}{said}" + (f" [{told}]" if told and "\n" not in said else "")


class JsonFormatter(logging.Formatter):
    """A JSON object a line: time, level, logger, message, request_id, exception, and of requests what they were."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as a line."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
        }
        told |= {name: getattr(record, name) for name in _EXTRA if hasattr(record, name)}
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(told, default=str).decode()


def set_up_logs(form: LogFormat) -> None:
    """Write the service's messages and those of its server to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    for name in ("segsort", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
