"""JSON of callers: its size and depth are checked before it is parsed."""

import threading
from typing import Any

import numpy as np
import orjson

from service.problems import Problem

FIELD_BYTES = 8_000_000  # of a field of JSON in a form
MANY_VALUES = 400_000  # 100,000 points, each with a bracket and two commas
DEEPEST = 64  # levels of lists and objects
LARGE = 64_000  # bytes; larger JSON is parsed outside of the event loop, one at a time
_one_at_a_time = threading.Lock()  # a parser does not release the interpreter while it runs


def parsed_json(content: bytes, values: int) -> Any:
    """Parse JSON, see `check_json`.

    Raises:
        Problem: 400 if it is nested too deeply; 413 if it has too many values.
        json.JSONDecodeError: if it is not JSON.
    """
    check_json(content, values)
    if len(content) < LARGE:
        return orjson.loads(content)
    with _one_at_a_time:
        return orjson.loads(content)


def check_json(content: bytes, values: int, most: int | None = None) -> None:
    """Check the size and the depth of JSON before it is parsed.

    Args:
        content: JSON in UTF-8.
        values: largest number of commas, brackets and braces, which bounds the memory of the parsed values.
        most: largest number of bytes; None: they were counted before.

    Raises:
        Problem: 400 if it is nested too deeply; 413 if it has too many values, or is too large.
    """
    if most is not None and len(content) > most:
        raise _too_large(f"{len(content)} bytes", f"at most {most} bytes of JSON")
    marks = sum(content.count(mark) for mark in (b",", b"[", b"{"))
    if marks > values:
        raise _too_large(f"{marks} commas, brackets and braces", f"at most {values}")
    if marks > DEEPEST and (depth := _depth(content, values)) > DEEPEST:
        raise Problem(
            400, "The JSON is nested too deeply.", received=f"{depth} levels", allowed=f"at most {DEEPEST} levels",
            fix="Correct the body. /docs has an example of each.",
        )  # fmt: skip


def _depth(content: bytes, values: int) -> int:
    """Largest number of open lists and objects at one place. Brackets in texts do not count."""
    plain = content.replace(b"\\\\", b"").replace(b'\\"', b"")
    if plain.count(b'"') > 4 * (values + 1):
        return 0  # two texts for each comma or bracket at most: it is not JSON, which the parser notices
    outside = b"".join(plain.split(b'"')[::2]).translate(None, _OTHERS)
    brackets = np.frombuffer(outside, np.uint8)
    steps = np.where((brackets == ord("[")) | (brackets == ord("{")), 1, -1).astype(np.int32)
    return int(np.cumsum(steps).max(initial=0))


def _too_large(received: str, allowed: str) -> Problem:
    return Problem(
        413, "The JSON is too large.", received=received, allowed=allowed,
        fix="Send fewer values in a request. Images are best sent as files, and masks as compressed run lengths.",
    )  # fmt: skip


_OTHERS = bytes(sorted(set(range(256)) - set(b"[]{}")))
