"""Invalid and unusual JSON bodies, made from valid ones."""

import json
from collections.abc import Iterator
from typing import Any

HUGE = "1" + "0" * 30
_DEPTHS = (50, 400, 960, 990, 1005, 1020, 5000, 100_000)  # parsers and serializers have different limits

# Raw JSON in place of a value: hard cases for parsers, databases, file names and arithmetic.
VALUES = {
    "null": "null",
    "true": "true",
    "zero": "0",
    "minus one": "-1",
    "half": "0.5",
    "2**53": str(2**53),
    "2**62": str(2**62),
    "2**63": str(2**63),
    "-2**63 - 1": str(-(2**63) - 1),
    "10**30": HUGE,
    "4000 digits": "9" * 4000,
    "5000 digits": "9" * 5000,
    "1e400": "1e400",
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "empty text": '""',
    "blanks": '"   \\t"',
    "NUL": '"a\\u0000b"',
    "half a pair": '"\\ud800"',
    "the other half": '"\\udc80"',
    "right to left": '"\\u202eabc"',
    "combining": '"' + "e\\u0301" * 40 + '"',
    "a digit of another script": '"\\u0663"',
    "path": '"../../etc/passwd"',
    "statement": '"\'; DROP TABLE edits; --"',
    "markup": '"<script>alert(1)</script>"',
    "long": '"' + "x" * 300_000 + '"',
    "empty list": "[]",
    "empty object": "{}",
    "list of all sorts": f'[null, true, {HUGE}, "\\ud800", [[]], {{"": {{}}}}]',
    "long list": "[" + "0," * 50_000 + "0]",
    "many names": "{" + ",".join(f'"k{n}": 0' for n in range(5000)) + "}",
    **{f"{depth} deep": "[" * depth + "]" * depth for depth in _DEPTHS},
    "objects 990 deep": '{"a":' * 990 + "0" + "}" * 990,
}

# In place of the whole body.
BODIES = {
    "nothing": b"",
    "a word": b"hello",
    "half": b'{"name": "ker',
    "two": b"{}{}",
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "UTF-16": '{"name": "kerb"}'.encode("utf-16"),
    "a mark of order first": b'\xef\xbb\xbf{"name": "kerb"}',
    "NULs": bytes(100),
    "a name twice": b'{"name": "one", "name": "two"}',
    "a name of half a pair": b'{"\\ud800": 1}',
    "a long name": b'{"' + b"k" * 300_000 + b'": 1}',
    **{name: value.encode() for name, value in VALUES.items()},
}


def mutated(body: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Copies of a valid body: each value, at every depth, is replaced by each hostile value or removed."""
    for path in _paths(body):
        for name, value in VALUES.items():
            yield f"{_dotted(path)} = {name}", _replaced(body, path, value)
        yield f"without {_dotted(path)}", json.dumps(_without(body, path)).encode()
    yield "an unknown name", json.dumps(body | {"surprise": 1}).encode()


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, inner in entries:
        yield (*path, key)
        yield from _paths(inner, (*path, key))


def _replaced(body: dict[str, Any], path: tuple[str | int, ...], value: str) -> bytes:
    mark = "\0here\0"
    copy = json.loads(json.dumps(body))
    _parent(copy, path)[path[-1]] = mark
    return json.dumps(copy).replace(json.dumps(mark), value).encode()


def _without(body: dict[str, Any], path: tuple[str | int, ...]) -> Any:
    copy = json.loads(json.dumps(body))
    del _parent(copy, path)[path[-1]]
    return copy


def _parent(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path[:-1]:
        value = value[key]
    return value


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(str(key) for key in path)
